import { z } from 'zod';
import {
  blobConnection,
  caCertificates,
  commaList,
  hostName,
  httpsUrl,
  insightsConnection,
  isLoopback,
  origin,
  postgresUrl,
  publicUrl,
  redisUrl,
  serviceBusConnection,
} from './connection-settings.ts';
import { keyVersions } from './key-versions.ts';

const positive = (fallback: number) => z.coerce.number().int().positive().default(fallback);

/**
 * All settings of the app, read once from the environment. The names are those of `local.settings.sample.json` and of the
 * Function App's settings. A test compares the sample with this schema.
 */
export const settingsSchema = z
  .object({
    DEPLOYMENT_ENVIRONMENT: z.enum(['local', 'dev', 'stage', 'prod']),
    CORE_DATABASE_URL: postgresUrl,
    BILLING_DATABASE_URL: postgresUrl,
    ANALYTICS_DATABASE_URL: postgresUrl,
    CORE_CROSS_TENANT_DATABASE_URL: postgresUrl,
    BILLING_CROSS_TENANT_DATABASE_URL: postgresUrl,
    ANALYTICS_CROSS_TENANT_DATABASE_URL: postgresUrl,
    DATABASE_POOL_MAX: positive(8),
    DATABASE_CROSS_TENANT_POOL_MAX: positive(6),
    /** False behind PgBouncer in transaction mode unless `max_prepared_statements` is set there. */
    DATABASE_PREPARE: z.stringbool().default(true),
    /** 'entra': connect with a managed identity's token instead of the URL's password. */
    DATABASE_AUTH: z.enum(['password', 'entra']).default('password'),
    /** Authorities that PostgreSQL's, Redis's or the key vault's certificate may have, besides those that Node knows. */
    EXTRA_CA_CERTS: caCertificates.default([]),
    /** The client id of the managed identity that is `comply_jobs`. The default is the app's own identity. */
    DATABASE_CROSS_TENANT_CLIENT_ID: z.guid().optional(),
    /** Where clients reach this API. The default is the host's own address. */
    API_PUBLIC_URL: publicUrl.optional(),
    SERVICE_BUS_CONNECTION: serviceBusConnection.optional(),
    /**
     * The trigger's identity-based connection uses this form. The app itself reads it when there is no connection string.
     */
    SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: hostName.optional(),
    BLOB_CONNECTION: blobConnection.optional(),
    BLOB_CONNECTION__blobServiceUri: httpsUrl.optional(),
    REDIS_URL: redisUrl.optional(),
    REDIS_KEY_PREFIX: z.string().default(''),
    /** 'entra': sign in as the URL's user, the identity's object id, with tokens instead of a password. */
    REDIS_AUTH: z.enum(['password', 'entra']).default('password'),
    API_KEY_PEPPER: z.string().min(32),
    /** A second pepper that API keys may be hashed with, while one replaces the other. The same one counts as none. */
    API_KEY_PEPPER_PREVIOUS: z.string().min(32).optional(),
    KEY_VAULT_URL: httpsUrl.optional(),
    KEY_ENCRYPTION_SECRET_NAME: z.string().default('key-encryption-key'),
    KEY_ENCRYPTION_KEYS: keyVersions.optional(),
    /** A session that nobody uses for this long is over. */
    SESSION_IDLE_MINUTES: positive(30),
    /** A session is over after this time, used or not. */
    SESSION_HOURS: positive(12),
    /** Other origins whose pages may use a session's cookie, comma-separated. The API's own origin always may. */
    SESSION_ORIGINS: commaList(origin),
    /** Without it, the routes that need Stripe answer 503, and everything else works. */
    STRIPE_SECRET_KEY: z.string().min(1).optional(),
    /** Where Stripe's API is. The default is Stripe's own address; another one is for development. */
    STRIPE_API_URL: publicUrl.optional(),
    /** The signing secrets of the webhook endpoint, comma-separated: while one is being rolled, both. */
    STRIPE_WEBHOOK_SECRETS: commaList(z.string().regex(/^whsec_\S+$/, 'must begin with whsec_')),
    /** The origins to which checkout and portal may send a person back, comma-separated. */
    BILLING_RETURN_ORIGINS: commaList(origin),
    /** How long everything works after a failed payment. Then the tenant may only read, until it has paid. */
    BILLING_GRACE_DAYS: z.coerce.number().int().min(0).max(365).default(14),
    /** How long a leaving tenant may only read and export, and can stay after all. Then it is erased. */
    OFFBOARDING_DAYS: z.coerce.number().int().min(1).max(365).default(30),
    /** How long an export can be fetched. Then its container is deleted. */
    EXPORT_KEEP_DAYS: z.coerce.number().int().min(1).max(90).default(7),
    /** The storage account of exports. The default is the account of the evidence. */
    EXPORT_BLOB_URL: httpsUrl.optional(),
    /** The ports of tenants' webhook endpoints, comma-separated. */
    WEBHOOKS_PORTS: commaList(z.string().regex(/^[1-9]\d{0,4}$/, 'must be a port'))
      .transform((ports) => ports.map(Number))
      .prefault('443'),
    /** Lets webhooks go to this machine, with certificates of EXTRA_CA_CERTS too. Only in the environment `local`. */
    WEBHOOKS_ALLOW_LOOPBACK: z.stringbool().default(false),
    /** How long the law wants invoices and payments of an erased tenant kept. */
    INVOICE_RETENTION_YEARS: z.coerce.number().int().min(1).max(30).default(10),
    /** Where spans and metrics go over OTLP (HTTP, JSON). Without it and the next one, nothing is exported. */
    OTEL_EXPORTER_OTLP_ENDPOINT: publicUrl.optional(),
    /** Headers of those requests: `name=value`, comma-separated. */
    OTEL_EXPORTER_OTLP_HEADERS: z.string().optional(),
    /** The share of traces that are exported, of those that no caller decided on. */
    OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(0.1),
    /** Milliseconds between two exports of metrics. */
    OTEL_METRIC_EXPORT_INTERVAL: positive(60_000),
    APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection.optional(),
    /** `Authorization=AAD`: with the managed identity instead of the key in the connection string. */
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: z
      .string()
      .regex(/Authorization=AAD/i, 'must contain Authorization=AAD')
      .optional(),
    AZURE_REGION: z.string().default('eastus'),
    AZURE_RESOURCE_GROUP: z.string().default('comply-ai-rg'),
    AZURE_SUBSCRIPTION_ID: z.string().optional(),
  })
  .superRefine(oneKeySource)
  .superRefine(oneServiceBus)
  .superRefine(oneBlobAccount)
  .superRefine(loopbackOnlyLocally);

export type Settings = z.output<typeof settingsSchema>;

type Check<T> = (value: T, context: z.RefinementCtx) => void;

function exactlyOne(names: readonly string[]): Check<Record<string, unknown>> {
  return (value, context) => {
    const given = names.filter((name) => value[name] !== undefined);
    if (given.length !== 1) {
      context.addIssue({
        code: 'custom',
        path: [names[0] ?? ''],
        message: `set exactly one of ${names.join(', ')}`,
      });
    }
  };
}

function oneKeySource(value: Record<string, unknown>, context: z.RefinementCtx): void {
  exactlyOne(['KEY_ENCRYPTION_KEYS', 'KEY_VAULT_URL'])(value, context);
}

function oneServiceBus(value: Record<string, unknown>, context: z.RefinementCtx): void {
  exactlyOne(['SERVICE_BUS_CONNECTION', 'SERVICE_BUS_CONNECTION__fullyQualifiedNamespace'])(value, context);
}

function oneBlobAccount(value: Record<string, unknown>, context: z.RefinementCtx): void {
  exactlyOne(['BLOB_CONNECTION', 'BLOB_CONNECTION__blobServiceUri'])(value, context);
}

function loopbackOnlyLocally(
  value: { readonly WEBHOOKS_ALLOW_LOOPBACK: boolean; readonly DEPLOYMENT_ENVIRONMENT: string },
  context: z.RefinementCtx,
): void {
  if (!value.WEBHOOKS_ALLOW_LOOPBACK || value.DEPLOYMENT_ENVIRONMENT === 'local') return;
  context.addIssue({
    code: 'custom',
    path: ['WEBHOOKS_ALLOW_LOOPBACK'],
    message: 'must be false: tenants could reach what listens on this machine',
  });
}

/** What is wrong with one setting. */
export interface SettingFault {
  readonly setting: string;
  readonly fault: string;
}

/** The environment's settings are invalid. The message lists every fault, but no value. */
export class SettingsError extends Error {
  override name = 'SettingsError';
  /** The names of the invalid settings. */
  readonly settings: readonly string[];
  /** What is wrong with each. No fault contains a value. */
  readonly faults: readonly SettingFault[];
  constructor(faults: readonly SettingFault[]) {
    const lines = faults.map(({ setting, fault }) => `  ${setting}: ${fault}`);
    super(`The app's settings are not complete:\n${lines.join('\n')}`);
    this.faults = faults;
    this.settings = [...new Set(faults.map(({ setting }) => setting))];
  }
}

/** The app's address from the Functions host: Azure's own for the Function App, or this machine's. */
function addressOfHost(hostname: string | undefined): string | undefined {
  if (hostname === undefined || hostname === '') return undefined;
  const plain = `http://${hostname}`;
  return URL.canParse(plain) && isLoopback(new URL(plain)) ? plain : `https://${hostname}`;
}

/** Node's own: at 0, the clients of Service Bus, Blob Storage, Key Vault and Stripe would accept any certificate. */
const CHECKS_OFF = 'NODE_TLS_REJECT_UNAUTHORIZED';

/** Reads and checks the settings. Empty values count as unset, because some tools cannot leave out an app setting. */
export function readSettings(environment: NodeJS.ProcessEnv = process.env): Settings {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  given['API_PUBLIC_URL'] ??= addressOfHost(given['WEBSITE_HOSTNAME']);
  const parsed = settingsSchema.safeParse(given);
  const faults = (parsed.error?.issues ?? []).map(({ path, message }) => ({
    setting: String(path[0]),
    fault: message,
  }));
  if (given[CHECKS_OFF] === '0' && given['DEPLOYMENT_ENVIRONMENT'] !== 'local')
    faults.push({ setting: CHECKS_OFF, fault: 'must not be 0: no certificate would be checked' });
  if (parsed.success && faults.length === 0) return parsed.data;
  throw new SettingsError(faults);
}
