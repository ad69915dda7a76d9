import { runner } from 'node-pg-migrate';
import type { MigrationBuilder } from 'node-pg-migrate';
import type { Client } from 'pg';
import { withConnection, withMigrationLock } from './connect.ts';
import { OWNER_ROLE } from './databases.ts';
import { readMigrationFile, readMigrationFolder } from './migration-files.ts';
import { findPendingMigrations, readAppliedMigrations } from './migration-state.ts';
import { prepareDatabase, prepareServer } from './prepare-server.ts';
import { checkConnectedServer } from './server-version.ts';

// A statement that changes a table waits for those that use it, and all later ones wait for it: give up soon instead.
const LOCK_TIMEOUT = '15s';

// What the file says when its one statement cannot run in a transaction (CREATE INDEX CONCURRENTLY).
const NO_TRANSACTION = /^-- no-transaction$/m;

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

/** One file as the migrator's steps: its text, then its checksum, both in the migration's own transaction. */
function loadFile(filePath: string) {
  const { name, text, sha256 } = readMigrationFile(filePath);
  const up = (builder: MigrationBuilder): void => {
    if (NO_TRANSACTION.test(text)) {
      builder.noTransaction();
    }
    builder.sql(text);
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
      singleTransaction: true, // all or none: a failed deployment leaves the schema that the old build knows
      noLock: true, // held by the caller, from before the checks on
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
 * Brings one database up to the given folder of migrations, making roles and database first where they are
 * missing, and returns the names of what it applied. The pending migrations are applied together or not at all.
 * Two at once wait for each other; the second finds nothing to do. Throws MigrationRefusedError when database
 * and folder do not fit together, and PostgreSQL's own error when a statement fails.
 */
export async function migrateDatabase(url: string, folder: string, label: string): Promise<string[]> {
  const files = readMigrationFolder(folder);
  await prepareServer(url);
  return withConnection(url, (client) =>
    withMigrationLock(client, async () => {
      await prepareDatabase(client);
      const pending = findPendingMigrations(label, files, await readAppliedMigrations(client));
      return pending.length === 0 ? [] : applyPending(client, folder);
    }),
  );
}

/** The names of the migrations that the database still lacks. Changes nothing; refuses what migrateDatabase refuses. */
export async function checkDatabase(url: string, folder: string, label: string): Promise<string[]> {
  const files = readMigrationFolder(folder);
  return withConnection(url, async (client) => {
    await checkConnectedServer(client);
    return findPendingMigrations(label, files, await readAppliedMigrations(client)).map(({ name }) => name);
  });
}
