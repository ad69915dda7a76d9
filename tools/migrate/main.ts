import { z } from 'zod';
import { caCertificates, postgresUrl } from '../../shared/platform/config/connection-settings.ts';
import { DATABASES, findMigrationsFolder } from './databases.ts';
import type { DatabaseName } from './databases.ts';
import { checkDatabase, migrateDatabase } from './migrate-database.ts';
import { checkServer, UnsupportedServerError } from './server-version.ts';

const USAGE = `usage: npm run migrate [-- --check]

Applies this build's migrations to the three databases, or with --check only lists the missing ones.
Reads MIGRATE_CORE_URL, MIGRATE_BILLING_URL and MIGRATE_ANALYTICS_URL: postgres://… of an administrator
(to make roles and databases) or of a member of comply_owner (when they exist). Connect directly to the
server, PostgreSQL 16, 17 or 18, not through a pooler. The connection is encrypted and the server's certificate
checked, unless the server is on this machine; EXTRA_CA_CERTS has the certificates of a private authority. A password
may come from PGPASSWORD instead.`;

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

async function migrateOne(database: DatabaseName, { urls, extraCa }: Target): Promise<void> {
  const folder = findMigrationsFolder(database);
  const applied = await migrateDatabase(urls[database], folder, database, extraCa);
  const what = applied.length === 0 ? 'up to date' : `applied ${applied.join(', ')}`;
  process.stdout.write(`${database}: ${what}\n`);
}

async function checkOne(database: DatabaseName, { urls, extraCa }: Target): Promise<void> {
  const pending = await checkDatabase(urls[database], findMigrationsFolder(database), database, extraCa);
  if (pending.length > 0) {
    process.exitCode = 1;
  }
  const what = pending.length === 0 ? 'up to date' : `lacks ${pending.join(', ')}`;
  process.stdout.write(`${database}: ${what}\n`);
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

async function main(args: string[]): Promise<void> {
  const check = args.includes('--check');
  const target = readTarget();
  if (target === undefined || args.some((arg) => arg !== '--check')) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  if (!check) {
    await checkServers(target);
  }
  for (const database of DATABASES) {
    await (check ? checkOne : migrateOne)(database, target);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
