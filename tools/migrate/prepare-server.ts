import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import pg from 'pg';
import { readDatabaseName, withConnection, withDatabase, withMigrationLock } from './connect.ts';
import { CONNECTING_ROLES, findRolesFile, OWNER_ROLE } from './databases.ts';
import { checkConnectedServer, MAINTENANCE_DATABASE } from './server-version.ts';

/**
 * Makes the roles, and the database if it is missing, on the server of this connection string. Throws when
 * something is missing and the connection may not make it, and UnsupportedServerError, before it makes anything, when the
 * server is too old. Two at once wait for each other.
 */
export async function prepareServer(url: string): Promise<void> {
  const name = readDatabaseName(url);
  await withConnection(withDatabase(url, MAINTENANCE_DATABASE), async (client) => {
    await checkConnectedServer(client);
    await withMigrationLock(client, async () => {
      await client.query(readFileSync(findRolesFile(), 'utf8'));
      const found = await client.query('select from pg_database where datname = $1', [name]);
      if (found.rowCount === 0) {
        await client.query(`create database ${pg.escapeIdentifier(name)} owner ${OWNER_ROLE}`);
      }
    });
  });
}

interface DatabaseFacts {
  name: string;
  owner: string;
  open_to_public: boolean;
  open_to_roles: boolean;
}

/**
 * Gives the connected database to the owner role and lets only our roles in. Changes nothing when that is so
 * already, and so needs no rights then.
 */
export async function prepareDatabase(client: Client): Promise<void> {
  const facts = await client.query<DatabaseFacts>(
    `select datname as name, pg_get_userbyid(datdba) as owner,
       exists (select from aclexplode(coalesce(datacl, acldefault('d', datdba))) where grantee = 0) as open_to_public,
       (select bool_and(has_database_privilege(role, oid, 'connect')) from unnest($1::text[]) role) as open_to_roles
     from pg_database where datname = current_database()`,
    [CONNECTING_ROLES],
  );
  const database = facts.rows[0];
  if (database === undefined) {
    throw new Error('the connected database is not in its own catalogue');
  }
  const name = pg.escapeIdentifier(database.name);
  if (database.owner !== OWNER_ROLE) {
    await client.query(`alter database ${name} owner to ${OWNER_ROLE}`);
  }
  if (database.open_to_public) {
    await client.query(`revoke all on database ${name} from public`);
  }
  if (database.open_to_public || !database.open_to_roles) {
    await client.query(`grant connect on database ${name} to ${CONNECTING_ROLES.join(', ')}`);
  }
}
