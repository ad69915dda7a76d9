import { setTimeout as delay } from 'node:timers/promises';
import { runner } from 'node-pg-migrate';
import type { MigrationBuilder } from 'node-pg-migrate';
import type { Client } from 'pg';
import { dropHalfBuilt } from './half-built-indexes.ts';
import { readMigrationFile, type MigrationFile } from './migration-files.ts';
import { splitStatements } from './split-statements.ts';

/**
 * A statement that changes a table waits for the statements that use the table, and all later ones wait for this one. So it
 * gives up soon, and the requests behind it go on; then it is tried again.
 */
const LOCK_TIMEOUT = '500ms';
/** CREATE INDEX CONCURRENTLY and its like wait for running transactions, but nobody waits for them. */
export const CONCURRENT_LOCK_TIMEOUT = '10min';
/** While such a statement runs, its table is locked. Adding and removing takes milliseconds: what takes longer reads the rows. */
const STATEMENT_TIMEOUT = '30s';

/** Between two attempts the requests that have waited are served. The pause doubles up to the longest. */
const PAUSE_FIRST_MS = 1_000;
const PAUSE_MOST_MS = 15_000;
/** Longer than the transactions of jobs. A transaction that lasts longer is somebody's session, and a person has to end it. */
export const PATIENCE_MS = 10 * 60_000;

const CONCURRENT =
  /^(?:\s|--[^\n]*\n)*(?:create\s+(?:unique\s+)?index|drop\s+index|reindex\b[^;]*?)\s+concurrently\b/i;

const CHECKSUM_TABLE = `create table if not exists ops.migration_checksums (
  name       text primary key,
  sha256     text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz not null default now()
)`;
const LABEL_COLUMNS = `alter table ops.migration_checksums
  add column if not exists phase text, add column if not exists after_release text`;

/** How the migrator waits. */
export interface Waiting {
  /** How long a file is tried again whose locks are not granted. */
  readonly patienceMs: number;
  /** Called before each pause. */
  readonly onWait: (text: string) => void;
}

/** A migration did not get its locks. The database is as the files before it left it. */
class MigrationBlockedError extends Error {
  override name = 'MigrationBlockedError';
}

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

function quote(text: string | undefined): string {
  return text === undefined ? 'null' : `'${text}'`;
}

/** A file as the migrator's steps: its text, then its checksum, both in one transaction unless the file is marked. */
function loadFile(filePath: string) {
  const { name, text, sha256, phase, afterRelease, outsideTransaction } = readMigrationFile(filePath);
  const up = (builder: MigrationBuilder): void => {
    if (outsideTransaction) {
      builder.noTransaction();
      // Each is sent alone: the server runs statements that are sent together in one transaction. When one fails, the ones
      // before it stay applied, and the next attempt runs the whole file again.
      for (const statement of splitStatements(text)) {
        builder.sql(
          `set lock_timeout = '${CONCURRENT.test(statement) ? CONCURRENT_LOCK_TIMEOUT : LOCK_TIMEOUT}'`,
        );
        builder.sql(statement);
      }
    } else builder.sql(text);
    // Outside a transaction the process may have ended between this statement and the next, which notes the file as applied.
    builder.sql(
      `insert into ops.migration_checksums (name, sha256, phase, after_release)
       values ('${name}', '${sha256}', ${quote(phase)}, ${quote(afterRelease)})
       on conflict (name) do update set (sha256, phase, after_release) = (excluded.sha256, excluded.phase, excluded.after_release)`,
    );
  };
  return { id: filePath, filePaths: [filePath], actions: { up, down: false as const } };
}

/** Runs one file, or without a name all pending ones. Consecutive files without a mark share a transaction. */
async function run(client: Client, folder: string, file?: string): Promise<void> {
  await runner({
    dbClient: client,
    dir: folder,
    direction: 'up',
    migrationsSchema: 'ops',
    migrationsTable: 'migrations',
    checkOrder: true,
    singleTransaction: true,
    noLock: true, // the caller has already locked, before its checks
    logger: silent,
    migrationLoaderStrategies: [
      { extensions: ['.sql'], loader: (paths) => Promise.resolve(paths.map(loadFile)) },
    ],
    ...(file === undefined ? {} : { file }),
  });
}

/** Makes the migrator's tables. The owner role must be set. */
export async function prepareTables(client: Client): Promise<void> {
  await client.query('create schema if not exists ops');
  await client.query(CHECKSUM_TABLE);
  await client.query(LABEL_COLUMNS);
}

/** Applies all files to a new database, which nobody uses yet: together or not at all, except for marked files. */
export async function applyToNew(client: Client, folder: string): Promise<void> {
  await run(client, folder);
}

/** 55P03: a lock was not granted in time. 40P01: a deadlock. In both cases another attempt may succeed. */
function isContention(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === '55P03' || code === '40P01';
}

async function attempt(client: Client, folder: string, file: MigrationFile): Promise<void> {
  const { name, text, phase, outsideTransaction } = file;
  // Reading and changing many rows takes its time, and so do the unlabelled files, which did everything.
  const isQuick = !outsideTransaction && (phase === 'expand' || phase === 'contract');
  await client.query(`set statement_timeout = '${isQuick ? STATEMENT_TIMEOUT : '0'}'`);
  if (!outsideTransaction) {
    await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
    await run(client, folder, name);
    return;
  }
  await client.query(`set lock_timeout = '${CONCURRENT_LOCK_TIMEOUT}'`);
  await dropHalfBuilt(client, text);
  await run(client, folder, name);
}

/**
 * Applies one file to a database in use. When a lock is not granted within half a second, it gives way to the requests and tries
 * again after a pause. Throws MigrationBlockedError when the patience is over.
 */
export async function applyToUsed(
  client: Client,
  folder: string,
  file: MigrationFile,
  { patienceMs, onWait }: Waiting,
): Promise<void> {
  const begun = performance.now();
  for (let pause = PAUSE_FIRST_MS; ; pause = Math.min(2 * pause, PAUSE_MOST_MS)) {
    try {
      await attempt(client, folder, file);
      return;
    } catch (error) {
      if (!isContention(error)) throw error;
      if (performance.now() - begun + pause > patienceMs)
        throw new MigrationBlockedError(
          `${file.name}: its locks were not granted within ${Math.round(patienceMs / 1_000)} s, because a transaction ` +
            'holds them; it was not applied (docs/runbooks/upgrade.md says how to find the transaction)',
          { cause: error },
        );
      onWait(`${file.name} waits for a lock and gives way for ${pause / 1_000} s`);
      await delay(pause);
    }
  }
}
