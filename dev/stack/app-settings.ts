import { nameDatabase } from '../../tools/migrate/databases.ts';
import type { DatabaseName } from '../../tools/migrate/databases.ts';
import type { StackSecrets } from './secrets.ts';

/** The app's settings as environment variables. The names come from shared/platform/config/settings.ts. */
export type AppSettings = Record<string, string>;

/** The addresses of a stack's parts. */
export interface PartAddresses {
  postgresPort: number;
  serviceBus: string;
  blob: string;
  redis: string | null;
  /** The stand-in for Stripe; null with an account at Stripe itself. */
  stripe: { url: string; webhookSecret: string } | null;
}

function loginUrl(role: string, password: string, port: number, database: DatabaseName): string {
  return `postgres://${role}:${password}@127.0.0.1:${port}/${nameDatabase(database)}`;
}

/** The app's settings on this stack. */
export function makeAppSettings(secrets: StackSecrets, parts: PartAddresses): AppSettings {
  const app = (database: DatabaseName): string =>
    loginUrl('comply_app', secrets.appPassword, parts.postgresPort, database);
  const crossTenant = (database: DatabaseName): string =>
    loginUrl('comply_jobs', secrets.jobsPassword, parts.postgresPort, database);
  return {
    DEPLOYMENT_ENVIRONMENT: 'local',
    CORE_DATABASE_URL: app('core'),
    BILLING_DATABASE_URL: app('billing'),
    ANALYTICS_DATABASE_URL: app('analytics'),
    CORE_CROSS_TENANT_DATABASE_URL: crossTenant('core'),
    BILLING_CROSS_TENANT_DATABASE_URL: crossTenant('billing'),
    ANALYTICS_CROSS_TENANT_DATABASE_URL: crossTenant('analytics'),
    SERVICE_BUS_CONNECTION: parts.serviceBus,
    BLOB_CONNECTION: parts.blob,
    ...(parts.redis === null ? {} : { REDIS_URL: parts.redis }),
    ...(parts.stripe === null
      ? {}
      : {
          STRIPE_SECRET_KEY: secrets.stripeSecretKey,
          STRIPE_API_URL: parts.stripe.url,
          STRIPE_WEBHOOK_SECRETS: parts.stripe.webhookSecret,
        }),
    API_KEY_PEPPER: secrets.apiKeyPepper,
    KEY_ENCRYPTION_KEYS: JSON.stringify(secrets.keyEncryptionKeys),
  };
}

/** The setting that is known only with the host's port: checkout and portal may send a person back to the stack itself. */
export function returnOrigins(port: number): AppSettings {
  return { BILLING_RETURN_ORIGINS: `http://127.0.0.1:${port},http://localhost:${port}` };
}
