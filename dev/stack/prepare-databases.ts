import pg from 'pg';
import { withConnection } from '../../tools/migrate/connect.ts';
import { findMigrationsFolder, forEachDatabase, nameDatabase } from '../../tools/migrate/databases.ts';
import type { DatabaseName, PerDatabase } from '../../tools/migrate/databases.ts';
import { migrateDatabase } from '../../tools/migrate/migrate-database.ts';
import type { PostgresServer } from '../postgres/start-postgres.ts';
import { allowRunsAhead } from './allow-runs-ahead.ts';
import type { StackSecrets } from './secrets.ts';

/** Migrates one database and returns how many migrations ran. */
export type MigrateOne = (database: DatabaseName, url: string) => Promise<number>;

/** Migrates a database to this build's schema. */
const migrateOne: MigrateOne = async (database, url) =>
  (await migrateDatabase(url, findMigrationsFolder(database), database)).length;

/** Migrates the stack's three databases and sets the passwords of the login roles. Returns how many migrations ran. */
export async function prepareDatabases(
  server: PostgresServer,
  secrets: StackSecrets,
  migrate: MigrateOne = migrateOne,
): Promise<{ urls: PerDatabase<string>; applied: number }> {
  let applied = 0;
  const urls = await forEachDatabase(async (database) => {
    const url = server.adminUrl(nameDatabase(database));
    applied += await migrate(database, url);
    return url;
  });
  await allowRunsAhead(urls.core);
  await withConnection(server.adminUrl(), async (client) => {
    for (const [role, password] of [
      ['comply_app', secrets.appPassword],
      ['comply_jobs', secrets.jobsPassword],
    ] as const) {
      await client.query(`alter role ${role} password ${pg.escapeLiteral(password)}`);
    }
  });
  return { urls, applied };
}
