import path from 'node:path';
import pg from 'pg';
import { databaseToken } from '../../shared/platform/entra/database-password.ts';
import { withConnection } from '../migrate/connect.ts';
import { runProgram } from './azd.ts';
import type { Deployment } from './environment.ts';

const TOOLS = path.join(import.meta.dirname, '..');
/** The role as which the seed writes. */
const JOBS_ROLE = 'comply_jobs';

/** A database's URL for a user, without a password: that is a token. */
function urlOf(host: string, database: string, user: string): string {
  return `postgres://${encodeURIComponent(user)}@${host}:5432/comply-ai-${database}?sslmode=verify-full`;
}

type Urls = Readonly<Record<'core' | 'billing' | 'analytics', string>>;

/** The three databases' URLs for whoever deploys: an administrator of the servers. */
function administratorUrls(deployment: Deployment): Urls {
  const user = deployment.AZURE_PRINCIPAL_NAME;
  return {
    core: urlOf(deployment.CORE_HOST, 'core', user),
    billing: urlOf(deployment.BILLING_HOST, 'billing', user),
    analytics: urlOf(deployment.ANALYTICS_HOST, 'analytics', user),
  };
}

/** Roles, databases, schema, and which identity is which role: `npm run migrate`. */
export async function migrate(deployment: Deployment, args: readonly string[] = []): Promise<void> {
  const urls = administratorUrls(deployment);
  await runProgram(process.execPath, [path.join(TOOLS, 'migrate/main.ts'), ...args], {
    MIGRATE_CORE_URL: urls.core,
    MIGRATE_BILLING_URL: urls.billing,
    MIGRATE_ANALYTICS_URL: urls.analytics,
    MIGRATE_AUTH: 'entra',
    MIGRATE_APP_PRINCIPAL_ID: deployment.APP_PRINCIPAL_ID,
    MIGRATE_JOBS_PRINCIPAL_ID: deployment.JOBS_PRINCIPAL_ID,
  });
}

/** A URL with which an administrator acts as `comply_jobs` from the first statement on. */
export function actAsJobs(url: string): string {
  const acting = new URL(url);
  acting.searchParams.set('options', `-c role=${JOBS_ROLE}`);
  return acting.toString();
}

/**
 * Runs `work` while the connection's user may act as comply_jobs. Whoever made the role may grant it. Afterwards an administrator
 * has no more rights on rows than before.
 */
export async function whileActingAsJobs(url: string, work: () => Promise<void>): Promise<void> {
  await withConnection(url, async (client) => {
    const { rows } = await client.query<{ name: string }>('select current_user as name');
    const user = pg.escapeIdentifier(rows[0]?.name ?? '');
    await client.query(`grant ${JOBS_ROLE} to ${user} with set true, inherit false`);
    try {
      await work();
    } finally {
      // The grant that came with making the role, which allows to grant it, stays: it is another one.
      await client.query(`grant ${JOBS_ROLE} to ${user} with set false, inherit false`);
    }
  });
}

/**
 * `npm run seed`: what all tenants share, and with a name a first operator's key, which is printed to standard output. The
 * pepper is the app's, or the key would not be valid there.
 */
export async function seed(deployment: Deployment, pepper: string, operatorKey?: string): Promise<void> {
  const urls = administratorUrls(deployment);
  const signedIn = new URL(urls.core);
  signedIn.password = encodeURIComponent(await databaseToken());
  const args = operatorKey === undefined ? [] : ['--operator-key', operatorKey];
  await whileActingAsJobs(signedIn.toString(), () =>
    runProgram(process.execPath, [path.join(TOOLS, 'seed/main.ts'), ...args], {
      DEPLOYMENT_ENVIRONMENT: deployment.DEPLOYMENT_ENVIRONMENT,
      CORE_DATABASE_URL: actAsJobs(urls.core),
      BILLING_DATABASE_URL: actAsJobs(urls.billing),
      ANALYTICS_DATABASE_URL: actAsJobs(urls.analytics),
      CORE_CROSS_TENANT_DATABASE_URL: actAsJobs(urls.core),
      BILLING_CROSS_TENANT_DATABASE_URL: actAsJobs(urls.billing),
      ANALYTICS_CROSS_TENANT_DATABASE_URL: actAsJobs(urls.analytics),
      DATABASE_AUTH: 'entra',
      SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: deployment.SERVICE_BUS_NAMESPACE,
      BLOB_CONNECTION__blobServiceUri: deployment.EVIDENCE_BLOB_URI,
      KEY_VAULT_URL: deployment.APP_VAULT_URL,
      API_KEY_PEPPER: pepper,
    }),
  );
}
