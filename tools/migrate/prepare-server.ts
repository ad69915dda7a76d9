import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import pg from 'pg';
import { readDatabaseName, withConnection, withDatabase, withMigrationLock } from './connect.ts';
import { findRolesFile, listConnectingRoles, OWNER_ROLE } from './databases.ts';
import { checkConnectedServer, MAINTENANCE_DATABASE } from './server-version.ts';

/**
 * Makes the roles, and the database if it is missing, on the server of this connection string. Throws when the connection has
 * no rights to make what is missing. Throws UnsupportedServerError, before any change, when the server is too old. Migrators
 * that run at the same time wait for each other.
 */
export async function prepareServer(url: string, extraCa: readonly string[] = []): Promise<void> {
  const name = readDatabaseName(url);
  const prepare = async (client: Client): Promise<void> => {
    await checkConnectedServer(client);
    await withMigrationLock(client, async () => {
      await client.query(readFileSync(findRolesFile(), 'utf8'));
      const found = await client.query('select from pg_database where datname = $1', [name]);
      if (found.rowCount === 0) {
        await client.query(`create database ${pg.escapeIdentifier(name)} owner ${OWNER_ROLE}`);
      }
    });
  };
  await withConnection(withDatabase(url, MAINTENANCE_DATABASE), prepare, extraCa);
}

interface DatabaseFacts {
  name: string;
  owner: string;
  open_to_public: boolean;
  /** Our roles that may not connect yet. */
  missing: string[];
  /** Our roles that may connect and must not: those of other teams. */
  excess: string[];
}

/**
 * Makes the owner role own the connected database, and lets only the roles of `label` connect. If this is already so, it
 * changes nothing and needs no rights.
 */
export async function prepareDatabase(client: Client, label: string): Promise<void> {
  const facts = await client.query<DatabaseFacts>(
    `select datname as name, pg_get_userbyid(datdba) as owner,
       exists (select from aclexplode(coalesce(datacl, acldefault('d', datdba))) where grantee = 0) as open_to_public,
       array(select role from unnest($1::text[]) role where not exists (
         select from aclexplode(datacl) where grantee = role::regrole and privilege_type = 'CONNECT')) as missing,
       array(select distinct grantee::regrole::text from aclexplode(datacl)
         where grantee <> 0 and grantee::regrole::text like 'comply\\_%' and grantee <> datdba
           and grantee::regrole::text <> all ($1)) as excess
     from pg_database where datname = current_database()`,
    [listConnectingRoles(label)],
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
  if (database.missing.length > 0) {
    await client.query(`grant connect on database ${name} to ${database.missing.join(', ')}`);
  }
  if (database.excess.length > 0) {
    await client.query(`revoke all on database ${name} from ${database.excess.join(', ')}`);
  }
}
