import { runner } from 'node-pg-migrate';
import type { MigrationBuilder } from 'node-pg-migrate';
import type { Client } from 'pg';
import { withConnection, withMigrationLock } from './connect.ts';
import { OWNER_ROLE } from './databases.ts';
import { readMigrationFile, readMigrationFolder } from './migration-files.ts';
import { findPendingMigrations, readAppliedMigrations } from './migration-state.ts';
import { prepareDatabase, prepareServer } from './prepare-server.ts';
import { checkConnectedServer } from './server-version.ts';

// A statement that changes a table waits for statements that use it, and all later ones wait for this one. So give up soon.
const LOCK_TIMEOUT = '15s';

// Marks a file whose statements cannot run in a transaction (CREATE INDEX CONCURRENTLY). Each is sent alone: the server runs
// statements that are sent together in one transaction. A statement ends with a semicolon at the end of a line. When one fails,
// the ones before it stay applied, and the next migrator runs the whole file again.
const NO_TRANSACTION = /^-- no-transaction$/m;
const STATEMENT_END = /(?<=;)[ \t]*\n/;

const CHECKSUM_TABLE = `create table if not exists ops.migration_checksums (
  name       text primary key,
  sha256     text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz not null default now()
)`;

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A file as the migrator's steps: its text, then its checksum, both in the migration's own transaction unless the file is marked. */
function loadFile(filePath: string) {
  const { name, text, sha256 } = readMigrationFile(filePath);
  const up = (builder: MigrationBuilder): void => {
    const isAlone = NO_TRANSACTION.test(text);
    if (isAlone) builder.noTransaction();
    for (const statement of isAlone ? text.trimEnd().split(STATEMENT_END) : [text]) builder.sql(statement);
    builder.sql(`insert into ops.migration_checksums (name, sha256) values ('${name}', '${sha256}')`);
  };
  return { id: filePath, filePaths: [filePath], actions: { up, down: false as const } };
}

async function applyPending(client: Client, folder: string): Promise<string[]> {
  await client.query(`set role ${OWNER_ROLE}`);
  try {
    await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
    await client.query('create schema if not exists ops');
    await client.query(CHECKSUM_TABLE);
    const applied = await runner({
      dbClient: client,
      dir: folder,
      direction: 'up',
      migrationsSchema: 'ops',
      migrationsTable: 'migrations',
      checkOrder: true,
      singleTransaction: true, // all or none: after a failed deployment, the old build still fits the schema
      noLock: true, // the caller has already locked, before its checks
      logger: silent,
      migrationLoaderStrategies: [
        { extensions: ['.sql'], loader: (paths) => Promise.resolve(paths.map(loadFile)) },
      ],
    });
    return applied.map(({ name }) => name);
  } finally {
    await client.query('reset lock_timeout').catch(() => undefined);
    await client.query('reset role').catch(() => undefined);
  }
}

/**
 * Applies a folder's pending migrations to one database and returns their names. First makes roles and database if they are
 * missing. `label` names the database in messages, and says which team may connect to it. The migrations are applied together or not at all. Migrators that run at the same time wait for each other; the
 * second one has nothing to do. Throws MigrationRefusedError when database and folder do not match, and PostgreSQL's error
 * when a statement fails.
 */
export async function migrateDatabase(
  url: string,
  folder: string,
  label: string,
  extraCa: readonly string[] = [],
): Promise<string[]> {
  const files = readMigrationFolder(folder);
  await prepareServer(url, extraCa);
  const migrate = (client: Client): Promise<string[]> =>
    withMigrationLock(client, async () => {
      await prepareDatabase(client, label);
      const pending = findPendingMigrations(label, files, await readAppliedMigrations(client));
      return pending.length === 0 ? [] : applyPending(client, folder);
    });
  return withConnection(url, migrate, extraCa);
}

/** The names of the pending migrations. Changes nothing. Throws MigrationRefusedError as migrateDatabase does. */
export async function checkDatabase(
  url: string,
  folder: string,
  label: string,
  extraCa: readonly string[] = [],
): Promise<string[]> {
  const files = readMigrationFolder(folder);
  const check = async (client: Client): Promise<string[]> => {
    await checkConnectedServer(client);
    return findPendingMigrations(label, files, await readAppliedMigrations(client)).map(({ name }) => name);
  };
  return withConnection(url, check, extraCa);
}
