import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { faultOf } from '../../../platform/db/errors.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { log } from '../../../platform/log/log.ts';
import { inDeletingBatch } from '../../retention/deleting-batch.ts';
import { RETENTION_DAYS_DEFAULT } from '../../retention/expiry.ts';
import { MOVE_BATCH, moveKeptBatch, moveKeptRows } from './kept-rows.ts';

/** Rows of larger partitions are estimated, since a count would read all of them. */
const COUNTED_BYTES_MAX = 64 * 2 ** 20;
/** If all but a few rows of a partition are past, moving the few and dropping it is less work than deleting rows. */
const LATER_ROWS_MAX = 1_000;
const PAST_TO_LATER_MIN = 10;
/**
 * Partitions dropped in one transaction. Several share the server's work for a commit. But nobody can read or write records
 * meanwhile (some 20 ms for each partition), so they are few.
 */
const DROPPED_AT_ONCE = 4;
/** Each attempt waits at most a second for its locks, so that requests never wait longer for it. */
const DROP_ATTEMPTS = 5;
/** Between two checks whether a drop is committed. */
const LOOK_MS = 5;
/** Transactions whose files the server still deletes. Each keeps a connection. */
const FREEING_MAX = 2;

/** The result of dropping. */
export interface DroppedPartitions {
  readonly partitions: number;
  readonly rows: number;
  /** How many of the rows are an estimate. */
  readonly estimatedRows: number;
  readonly bytes: number;
  /** Rows that were moved to the partition of kept rows. */
  readonly moved: number;
  /** False if the time was over, or a lock was not granted. The next run continues. */
  readonly finished: boolean;
}

interface Partition {
  readonly [column: string]: unknown;
  readonly oid: number;
  readonly name: string;
  readonly day: string;
  readonly bytes: number;
  /** True if all of its rows with the platform's retention are past. */
  readonly over: boolean;
}

/**
 * Drops the partitions of storage records whose rows are past. Rows that must stay (under a hold, not archived, kept until
 * a manual deletion, or expiring later) are first moved to the partition of kept rows. So the cost grows with the rows that
 * stay, not with those that are dropped.
 */
export async function dropPastPartitions(
  database: CrossTenantDatabase,
  cutoff: Date,
  timeLeftMs: () => number,
): Promise<DroppedPartitions> {
  let moved = 0;
  let finished = true;
  const emptied: Partition[] = [];
  for (const partition of await findPast(database, cutoff)) {
    if (!partition.over && !(await isMostlyPast(database, partition, cutoff))) continue;
    const ahead = await moveKeptRows(database, partition.day, cutoff, timeLeftMs);
    moved += ahead.moved;
    if (ahead.finished) emptied.push(partition);
    else finished = false;
  }
  const dropped: Drop[] = [];
  const freeing = new Set<Promise<unknown>>();
  while (emptied.length > 0) {
    if (timeLeftMs() === 0) {
      finished = false;
      break;
    }
    if (freeing.size >= FREEING_MAX) await Promise.race(freeing);
    const group = emptied.splice(0, DROPPED_AT_ONCE);
    const drops = await tryDrop(database, group, cutoff, freeing);
    if (drops.length < group.length) finished = false;
    dropped.push(...drops);
  }
  const sum = (of: (drop: Drop) => number): number => dropped.reduce((total, drop) => total + of(drop), 0);
  return {
    partitions: dropped.length,
    rows: sum((drop) => drop.rows),
    estimatedRows: sum((drop) => (drop.estimated ? drop.rows : 0)),
    bytes: sum((drop) => drop.partition.bytes),
    moved: moved + sum((drop) => drop.moved),
    finished,
  };
}

/** The partitions whose rows may be past, by their day. An empty partition that is still written to is left out. */
function findPast(database: CrossTenantDatabase, cutoff: Date): Promise<Partition[]> {
  return database.query<Partition>(
    `select p.oid, p.name, p.day, p.bytes, p.day + ($2::int + 1) <= ($1::timestamptz at time zone 'UTC') as over
       from (select c.relname as name, to_date(right(c.relname, 8), 'YYYYMMDD') as day, c.oid,
                    pg_total_relation_size(c.oid) as bytes, pg_relation_size(c.oid) as heap
               from pg_inherits i join pg_class c on c.oid = i.inhrelid
              where i.inhparent = 'storage_records'::regclass and c.relname ~ '^storage_records_d[0-9]{8}$') p
      where p.day + $2::int <= ($1::timestamptz at time zone 'UTC') and (p.heap > 0 or p.day < current_date - 1)
      order by p.day`,
    [cutoff, RETENTION_DAYS_DEFAULT],
  );
}

async function isMostlyPast(
  database: CrossTenantDatabase,
  partition: Partition,
  cutoff: Date,
): Promise<boolean> {
  return inBatch(database, async (transaction) => {
    const [later] = await transaction.query<{ rows: number }>(
      `select count(*)::int as rows from (
         select 1 from storage_records where partition_day = $1 and expires_at > $2 order by expires_at limit $3) l`,
      [partition.day, cutoff, LATER_ROWS_MAX + 1],
      { prepare: false },
    );
    const laterRows = later?.rows ?? 0;
    if (laterRows > LATER_ROWS_MAX) return false;
    const enough = Math.max(1, laterRows * PAST_TO_LATER_MIN);
    const [past] = await transaction.query<{ rows: number }>(
      `select count(*)::int as rows from (
         select 1 from storage_records where partition_day = $1 and expires_at <= $2 order by expires_at limit $3) p`,
      [partition.day, cutoff, enough],
      { prepare: false },
    );
    return (past?.rows ?? 0) >= enough;
  });
}

interface Drop {
  readonly partition: Partition;
  readonly rows: number;
  readonly estimated: boolean;
  readonly moved: number;
}

/**
 * Drops partitions in one transaction and returns those that were dropped. A partition with too many new rows to keep is left
 * out. If the locks are not granted after several attempts, none is dropped. The server's remaining work is in `freeing` until
 * it ends.
 */
async function tryDrop(
  database: CrossTenantDatabase,
  partitions: readonly Partition[],
  cutoff: Date,
  freeing: Set<Promise<unknown>>,
): Promise<readonly Drop[]> {
  let wanted = partitions;
  for (let attempt = 1; attempt <= DROP_ATTEMPTS && wanted.length > 0;) {
    try {
      return await dropUntilCommitted(database, wanted, cutoff, freeing);
    } catch (error) {
      if (error instanceof StillKept) {
        wanted = wanted.filter((partition) => partition !== error.partition);
        continue;
      }
      if (faultOf(error) !== 'contention') throw error;
      log.warn('partitions-not-dropped', { partitions: wanted.map(({ name }) => name).join(' '), attempt });
      attempt += 1;
    }
  }
  return [];
}

/**
 * Drops partitions and waits until the drop is committed, that is, until other connections no longer see them. PostgreSQL
 * answers a commit only after the file system has deleted the files, long after the commit is durable and its locks are
 * released. That takes some 0.2 ms for each megabyte, and nothing here needs to wait for it.
 */
async function dropUntilCommitted(
  database: CrossTenantDatabase,
  partitions: readonly Partition[],
  cutoff: Date,
  freeing: Set<Promise<unknown>>,
): Promise<readonly Drop[]> {
  let ready: readonly Drop[] | undefined;
  const committed = inDeletingBatch(database, async (transaction) => {
    ready = await drop(transaction, partitions, cutoff);
    return ready;
  });
  const settled: Promise<unknown> = committed.catch(() => undefined).then(() => freeing.delete(settled));
  freeing.add(settled);
  const oids = partitions.map(({ oid }) => String(oid));
  for (;;) {
    const dropped = await Promise.race([committed, delay(LOOK_MS)]);
    if (dropped !== undefined) return dropped;
    if (ready === undefined) continue;
    const seen = await database.query('select from pg_class where oid = any($1::oid[])', [oids]);
    if (seen.length === 0) return ready;
  }
}

/** More new rows must be kept than one transaction moves. The next run moves them. */
class StillKept extends Error {
  override name = 'StillKept';
  readonly partition: Partition;
  constructor(partition: Partition) {
    super(`too many new rows of ${partition.name} must be kept`);
    this.partition = partition;
  }
}

async function drop(
  transaction: CrossTenantTransaction,
  partitions: readonly Partition[],
  cutoff: Date,
): Promise<readonly Drop[]> {
  const counted = new Map<Partition, Counted>();
  for (const partition of partitions) {
    await transaction.query(`select ops.hold_partition('storage_records', $1)`, [partition.name]);
    counted.set(partition, await countRows(transaction, partition));
  }
  // From here on nobody reads or writes records. The parent is locked first: a session that waits for it holds no partition.
  await transaction.query('lock table only storage_records in access exclusive mode');
  const drops: Drop[] = [];
  for (const [partition, { rows, estimated }] of counted) {
    const moved = await moveNewlyKept(transaction, partition, cutoff);
    drops.push({ partition, rows: Math.max(0, rows - moved), estimated, moved });
    await transaction.query(`select ops.drop_partition('storage_records', $1, $2)`, [partition.name, cutoff]);
    // With an `as_of` in the future, a partition of a current day can be dropped. That day gets a new, empty partition.
    await transaction.query(
      `select ops.make_partition('storage_records', 'day', $1::date) where $1::date >= current_date - 1`,
      [partition.day],
    );
  }
  return drops;
}

/** Moves rows that must be kept since the last move and returns their number. Nobody else reads or writes meanwhile. */
async function moveNewlyKept(
  transaction: CrossTenantTransaction,
  partition: Partition,
  cutoff: Date,
): Promise<number> {
  let moved = 0;
  for (;;) {
    const batch = await moveKeptBatch(transaction, partition.day, cutoff);
    if (batch === 0) return moved;
    moved += batch;
    if (moved >= MOVE_BATCH) throw new StillKept(partition);
  }
}

interface Counted {
  readonly rows: number;
  readonly estimated: boolean;
}

async function countRows(transaction: CrossTenantTransaction, partition: Partition): Promise<Counted> {
  if (partition.bytes <= COUNTED_BYTES_MAX) {
    const [counted] = await transaction.query<{ rows: number }>(
      `select count(*) as rows from storage_records where partition_day = $1`,
      [partition.day],
      { prepare: false },
    );
    return { rows: counted?.rows ?? 0, estimated: false };
  }
  const [plan] = await transaction.query<{ 'QUERY PLAN': unknown }>(
    `explain (format json) select from storage_records where partition_day = $1`,
    [partition.day],
    { prepare: false },
  );
  return { rows: planRows.parse(plan?.['QUERY PLAN'])[0].Plan['Plan Rows'], estimated: true };
}

/** The planner's estimate of the rows, in a plan. */
const planRows = z.tuple([z.object({ Plan: z.object({ 'Plan Rows': z.number() }) })]);
