import type { Client } from 'pg';
import {
  applyToNew,
  applyToUsed,
  CONCURRENT_LOCK_TIMEOUT,
  PATIENCE_MS,
  prepareTables,
} from './apply-migrations.ts';
import { withConnection, withMigrationLock } from './connect.ts';
import { OWNER_ROLE } from './databases.ts';
import { mendInvalidIndexes } from './half-built-indexes.ts';
import { readMigrationFolder, type MigrationFile } from './migration-files.ts';
import {
  findPendingMigrations,
  MigrationRefusedError,
  readAppliedMigrations,
  selectPending,
} from './migration-state.ts';
import { prepareDatabase, prepareServer } from './prepare-server.ts';
import { olderOf, readOldestBuild } from './running-builds.ts';
import { checkConnectedServer } from './server-version.ts';

/** How a database is migrated. */
export interface MigrateOptions {
  /** False leaves out what an older build may still need. Default: true, for databases that only this build uses. */
  readonly contract?: boolean;
  /** The oldest build that is connected to one of the three databases, if it is known. */
  readonly oldestBuild?: string | undefined;
  /** This build's release. Default: that of `package.json`. */
  readonly release?: string;
  /** Authorities that the server's certificate may have, besides those that Node knows. */
  readonly extraCa?: readonly string[];
  /** How long a file is tried again whose locks are not granted. Default: ten minutes. */
  readonly patienceMs?: number;
  /** Called when a file waits, and for each invalid index that was mended. */
  readonly onEvent?: (text: string) => void;
}

/**
 * For a database in use. A client that is gone must not keep its locks: the server ends its statement, or its open
 * transaction. The timeouts of statements and locks are set for each file.
 */
const SESSION = `set client_connection_check_interval = '5s'; set idle_in_transaction_session_timeout = '60s';
  set lock_timeout = '${CONCURRENT_LOCK_TIMEOUT}'`;
const RESET = `reset client_connection_check_interval; reset idle_in_transaction_session_timeout;
  reset statement_timeout; reset lock_timeout; reset role`;

async function applyPending(
  client: Client,
  folder: string,
  pending: readonly MigrationFile[],
  isNew: boolean,
  { patienceMs = PATIENCE_MS, onEvent = () => undefined }: MigrateOptions,
): Promise<void> {
  await client.query(`set role ${OWNER_ROLE}`);
  try {
    await client.query(SESSION);
    await prepareTables(client);
    if (isNew) {
      await applyToNew(client, folder);
      return;
    }
    const mended = await mendInvalidIndexes(
      client,
      pending.map(({ text }) => text),
    );
    for (const name of mended) onEvent(`${name} was left half-built, and was mended`);
    for (const file of pending) await applyToUsed(client, folder, file, { patienceMs, onWait: onEvent });
  } finally {
    await client.query(RESET).catch(() => undefined);
  }
}

/**
 * Applies a folder's pending migrations to one database and returns their names. First makes roles and database if they are
 * missing. `label` names the database in messages, and says which team may connect to it. A new database gets all files together or not at all. In a database in use, each file is a transaction of its own,
 * so that its locks are short: after a failure, the files before it stay, and every build that could run before still can.
 * Also mends indexes that were left half-built. Migrators that run at the same time wait for each other; the second one has
 * nothing to do. Throws MigrationRefusedError when database and folder do not match, or, after the files before it, at a
 * contract migration that may not run yet; MigrationBlockedError when a file does not get its locks; and PostgreSQL's error when a
 * statement fails.
 */
export async function migrateDatabase(
  url: string,
  folder: string,
  label: string,
  options: MigrateOptions = {},
): Promise<string[]> {
  const { contract = true, release, extraCa = [] } = options;
  const files = readMigrationFolder(folder);
  await prepareServer(url, extraCa);
  const migrate = (client: Client): Promise<string[]> =>
    withMigrationLock(client, async () => {
      await prepareDatabase(client, label);
      const applied = await readAppliedMigrations(client);
      const isNew = applied.length === 0;
      const pending = findPendingMigrations(label, files, applied, release);
      const oldest = olderOf(await readOldestBuild(client), options.oldestBuild);
      const selected = selectPending(label, pending, contract || isNew, isNew ? undefined : oldest);
      await applyPending(client, folder, selected.files, isNew, options);
      const names = selected.files.map(({ name }) => name);
      if (selected.refusal !== undefined)
        throw new MigrationRefusedError(
          names.length === 0 ? selected.refusal : `${selected.refusal}; applied ${names.join(', ')}`,
        );
      return names;
    });
  return withConnection(url, migrate, extraCa);
}

/** The pending migrations of a database. */
export interface PendingMigrations {
  /** What this build needs. */
  readonly needed: MigrationFile[];
  /** What runs after the rollout, when no older build runs. */
  readonly contract: MigrationFile[];
}

/** Finds the pending migrations. Changes nothing. Throws MigrationRefusedError when database and folder do not match. */
export async function findPending(
  url: string,
  folder: string,
  label: string,
  extraCa: readonly string[] = [],
): Promise<PendingMigrations> {
  const files = readMigrationFolder(folder);
  const find = async (client: Client): Promise<PendingMigrations> => {
    await checkConnectedServer(client);
    const applied = await readAppliedMigrations(client);
    const pending = findPendingMigrations(label, files, applied);
    const isLater = ({ phase }: MigrationFile): boolean => applied.length > 0 && phase === 'contract';
    return { needed: pending.filter((file) => !isLater(file)), contract: pending.filter(isLater) };
  };
  return withConnection(url, find, extraCa);
}

/** The names of the migrations that this build needs and the database lacks. Changes nothing. Throws as findPending does. */
export async function checkDatabase(
  url: string,
  folder: string,
  label: string,
  extraCa: readonly string[] = [],
): Promise<string[]> {
  return (await findPending(url, folder, label, extraCa)).needed.map(({ name }) => name);
}
