import { randomBytes } from 'node:crypto';
import path from 'node:path';
import postgres from 'postgres';
import { findMigrationsFolder, forEachDatabase } from '../../tools/migrate/databases.ts';
import { migrateDatabase } from '../../tools/migrate/migrate-database.ts';
import { allowRunsAhead } from '../../dev/stack/allow-runs-ahead.ts';
import { startPostgres } from '../../dev/postgres/start-postgres.ts';
import type { PostgresServer } from '../../dev/postgres/start-postgres.ts';
import type { PostgresFacts } from './part-facts.ts';

/** The superuser's password of a run's server, which is on loopback and stops with the run. */
const TEST_ADMIN_PASSWORD = 'test';

/** Starts the run's PostgreSQL with temporary data. */
export function startTestPostgres(folder: string): Promise<PostgresServer> {
  return startPostgres({
    dataDir: path.join(folder, 'postgres'),
    logFile: path.join(folder, 'postgres.log'),
    password: TEST_ADMIN_PASSWORD,
    durable: false,
    onEvent: (text) => process.stderr.write(`${text}\n`),
  });
}

/** Migrates the three databases that test files clone, and gives the login roles their passwords. */
export async function makeTemplates(server: PostgresServer): Promise<PostgresFacts> {
  const templates = await forEachDatabase(async (database) => {
    const name = `template_${database}`;
    await migrateDatabase(server.adminUrl(name), findMigrationsFolder(database), database);
    return name;
  });
  await allowRunsAhead(server.adminUrl(templates.core));
  const passwords = {
    comply_app: randomBytes(16).toString('hex'),
    comply_jobs: randomBytes(16).toString('hex'),
  };
  const sql = postgres(server.adminUrl(), { max: 1, onnotice: () => undefined });
  try {
    for (const [role, password] of Object.entries(passwords)) {
      await sql.unsafe(`alter role ${role} password '${password}'`);
    }
    for (const name of Object.values(templates)) {
      // A database with open connections cannot be cloned.
      await sql.unsafe(`alter database ${name} with allow_connections false is_template true`);
    }
  } finally {
    await sql.end();
  }
  return { adminUrl: server.adminUrl(), passwords, templates };
}
