import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from 'pg';
import { startPostgres } from '../../dev/postgres/start-postgres.ts';
import { withConnection } from '../../tools/migrate/connect.ts';
import {
  findMigrationsFolder,
  forEachDatabase,
  nameDatabase,
  nameTeamRole,
  type DatabaseName,
} from '../../tools/migrate/databases.ts';
import { migrateDatabase } from '../../tools/migrate/migrate-database.ts';

/** The three databases as a deployment makes them, on one server, with a password for each team. */
export interface TeamServer {
  /** As the superuser. */
  asAdmin<T>(database: DatabaseName, work: (client: Client) => Promise<T>): Promise<T>;
  /** Signed in as a team; to its own database unless another is named. */
  asTeam<T>(team: DatabaseName, work: (client: Client) => Promise<T>, database?: DatabaseName): Promise<T>;
  /** Signed in as another role. */
  asRole<T>(role: string, database: DatabaseName, work: (client: Client) => Promise<T>): Promise<T>;
  /** Runs the migrator again. */
  migrate(database: DatabaseName): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts a server of its own: the cloned databases of other tests have no grants of a deployment. */
export async function startTeamServer(): Promise<TeamServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-people-'));
  const server = await startPostgres({
    dataDir: path.join(folder, 'postgres'),
    logFile: path.join(folder, 'postgres.log'),
    password: 'test',
    durable: false,
  });
  const password = randomBytes(16).toString('hex');
  const migrate = (database: DatabaseName): Promise<string[]> =>
    migrateDatabase(server.adminUrl(nameDatabase(database)), findMigrationsFolder(database), database);
  await forEachDatabase(migrate);
  await withConnection(server.adminUrl(), async (client) => {
    const roles = [...(['core', 'billing', 'analytics'] as const).map(nameTeamRole), 'comply_readonly'];
    for (const role of roles) await client.query(`alter role ${role} password '${password}'`);
  });
  const asRole: TeamServer['asRole'] = (role, database, work) => {
    const url = new URL(server.adminUrl(nameDatabase(database)));
    url.username = role;
    url.password = password;
    return withConnection(url.toString(), work);
  };
  return {
    asAdmin: (database, work) => withConnection(server.adminUrl(nameDatabase(database)), work),
    asTeam: (team, work, database = team) => asRole(nameTeamRole(team), database, work),
    asRole,
    migrate,
    stop: async () => {
      await server.stop('immediate');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
