import { z } from 'zod';
import { caCertificates, postgresUrl } from '../../shared/platform/config/connection-settings.ts';
import { databaseToken } from '../../shared/platform/entra/database-password.ts';
import { DATABASES, findMigrationsFolder, forEachDatabase } from './databases.ts';
import type { DatabaseName } from './databases.ts';
import { withConnection } from './connect.ts';
import { mapEntraRoles, type EntraRoles } from './entra-roles.ts';
import { findPending, migrateDatabase } from './migrate-database.ts';
import { olderOf, readOldestBuild } from './running-builds.ts';
import { checkServer, UnsupportedServerError } from './server-version.ts';

const USAGE = `usage: npm run migrate [-- --check | --contract]

Applies this build's migrations to the three databases, except those that remove what an older build needs: before a
rollout. With --contract it applies those too: after the rollout, when no older build runs. With --check it only lists
the missing ones.
Reads MIGRATE_CORE_URL, MIGRATE_BILLING_URL and MIGRATE_ANALYTICS_URL: postgres://… of an administrator
(to make roles and databases) or of a member of comply_owner (when they exist). Connect directly to the
server, PostgreSQL 16, 17 or 18, not through a pooler. The connection is encrypted and the server's certificate
checked, unless the server is on this machine; EXTRA_CA_CERTS has the certificates of a private authority. A password
may come from PGPASSWORD instead.

With MIGRATE_AUTH=entra, who is signed in to Azure here (az login, azd auth login, a managed identity) gets a token, which
is the password. The URLs' user is their name as administrator of the servers. With MIGRATE_APP_PRINCIPAL_ID and
MIGRATE_JOBS_PRINCIPAL_ID, the identities of these object ids may then sign in as comply_app and comply_jobs.`;

const settings = z.object({
  MIGRATE_CORE_URL: postgresUrl,
  MIGRATE_BILLING_URL: postgresUrl,
  MIGRATE_ANALYTICS_URL: postgresUrl,
});
const given = settings.extend({ EXTRA_CA_CERTS: caCertificates.default([]) });

interface Target {
  readonly urls: Record<DatabaseName, string>;
  readonly extraCa: readonly string[];
}

const entraSettings = z
  .object({
    MIGRATE_AUTH: z.enum(['password', 'entra']).default('password'),
    MIGRATE_APP_PRINCIPAL_ID: z.guid().optional(),
    MIGRATE_JOBS_PRINCIPAL_ID: z.guid().optional(),
  })
  .refine(
    ({ MIGRATE_APP_PRINCIPAL_ID: app, MIGRATE_JOBS_PRINCIPAL_ID: jobs }) =>
      (app === undefined) === (jobs === undefined),
    { path: ['MIGRATE_APP_PRINCIPAL_ID'], error: 'set both or neither of the principal ids' },
  );

/** Throws with the name of each invalid setting, but never with its value. */
function readTarget(): Target | undefined {
  if (Object.keys(settings.shape).some((name) => !process.env[name])) return undefined;
  const { EXTRA_CA_CERTS: extra, ...others } = process.env;
  const parsed = given.safeParse(extra === '' ? others : process.env);
  if (!parsed.success)
    throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join()}: ${message}`).join('\n'));
  const {
    MIGRATE_CORE_URL: core,
    MIGRATE_BILLING_URL: billing,
    MIGRATE_ANALYTICS_URL: analytics,
    EXTRA_CA_CERTS: extraCa,
  } = parsed.data;
  return { urls: { core, billing, analytics }, extraCa };
}

interface Entra {
  /** The URL's password becomes a token, if that is asked for. */
  readonly signIn: (url: string) => Promise<string>;
  readonly roles: EntraRoles | undefined;
}

/** Throws like {@link readTarget}. */
function readEntra(): Entra {
  const set = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== ''));
  const parsed = entraSettings.safeParse(set);
  if (!parsed.success)
    throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join()}: ${message}`).join('\n'));
  const { MIGRATE_AUTH: auth, MIGRATE_APP_PRINCIPAL_ID: app, MIGRATE_JOBS_PRINCIPAL_ID: jobs } = parsed.data;
  return {
    signIn: async (url) => {
      if (auth === 'password') return url;
      const signed = new URL(url);
      signed.password = encodeURIComponent(await databaseToken());
      return signed.toString();
    },
    roles: app === undefined || jobs === undefined ? undefined : { comply_app: app, comply_jobs: jobs },
  };
}

async function migrateOne(
  database: DatabaseName,
  { urls, extraCa }: Target,
  contract: boolean,
  oldestBuild: string | undefined,
): Promise<void> {
  const applied = await migrateDatabase(urls[database], findMigrationsFolder(database), database, {
    contract,
    oldestBuild,
    extraCa,
    onEvent: (text) => process.stdout.write(`${database}: ${text}\n`),
  });
  const what = applied.length === 0 ? 'up to date' : `applied ${applied.join(', ')}`;
  process.stdout.write(`${database}: ${what}\n`);
}

function listNames(files: readonly { name: string }[]): string {
  return files.map(({ name }) => name).join(', ');
}

async function checkOne(database: DatabaseName, { urls, extraCa }: Target): Promise<void> {
  const { needed, contract } = await findPending(
    urls[database],
    findMigrationsFolder(database),
    database,
    extraCa,
  );
  if (needed.length > 0) {
    process.exitCode = 1;
  }
  const what = needed.length === 0 ? 'up to date' : `lacks ${listNames(needed)}`;
  const later = contract.length === 0 ? '' : `; for --contract, after the rollout: ${listNames(contract)}`;
  process.stdout.write(`${database}: ${what}${later}\n`);
}

/** In all three databases: an instance that is idle keeps a connection to one server only, and to one of its databases. */
async function findOldestBuild({ urls, extraCa }: Target): Promise<string | undefined> {
  let oldest: string | undefined;
  for (const database of DATABASES)
    oldest = olderOf(oldest, await withConnection(urls[database], readOldestBuild, extraCa));
  return oldest;
}

async function mapRoles(database: DatabaseName, { urls, extraCa }: Target, roles: EntraRoles): Promise<void> {
  const changed = await mapEntraRoles(urls[database], roles, extraCa);
  if (changed.length > 0) process.stdout.write(`${database}: ${changed.join(', ')} signs in with Entra\n`);
}

/** Checks all three servers before the first is changed. */
async function checkServers({ urls, extraCa }: Target): Promise<void> {
  for (const database of DATABASES) {
    try {
      await checkServer(urls[database], extraCa);
    } catch (error) {
      if (error instanceof UnsupportedServerError) {
        throw new Error(`${database}: ${error.message}; nothing was migrated`, { cause: error });
      }
      throw error;
    }
  }
}

async function main([flag, ...rest]: string[]): Promise<void> {
  const given = readTarget();
  const isKnown = flag === undefined || flag === '--check' || flag === '--contract';
  if (given === undefined || !isKnown || rest.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const { signIn, roles } = readEntra();
  const urls = await forEachDatabase((database) => signIn(given.urls[database]));
  const target: Target = { urls, extraCa: given.extraCa };
  if (flag === '--check') {
    for (const database of DATABASES) await checkOne(database, target);
    return;
  }
  await checkServers(target);
  const contract = flag === '--contract';
  const oldest = contract ? await findOldestBuild(target) : undefined;
  for (const database of DATABASES) {
    await migrateOne(database, target, contract, oldest);
    if (roles !== undefined) await mapRoles(database, target, roles);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
