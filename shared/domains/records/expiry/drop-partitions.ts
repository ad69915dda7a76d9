import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { faultOf } from '../../../platform/db/errors.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { log } from '../../../platform/log/log.ts';
import { inDeletingBatch } from '../../retention/deleting-batch.ts';
import { RETENTION_DAYS_DEFAULT } from '../../retention/expiry.ts';
import { MOVE_BATCH, moveKeptBatch, moveKeptRows } from './kept-rows.ts';

/** Smaller partitions are counted; larger ones' rows are estimated, since a count would read them all. */
const COUNTED_BYTES_MAX = 64 * 2 ** 20;
/** A partition whose day is not all over is dropped if all but a few rows are: then moving those is the lesser work. */
const LATER_ROWS_MAX = 1_000;
const PAST_TO_LATER_MIN = 10;
/**
 * Partitions dropped in one transaction. Nobody reads or writes records meanwhile: some 20 ms each, so that those of a few
 * days go together, and what the server has to do for a commit, and after it, is done once.
 */
const DROPPED_AT_ONCE = 4;
/** Each attempt waits a second for its locks at the most, so that requests never wait longer for it. */
const DROP_ATTEMPTS = 5;
/** Between two looks whether a drop is committed. */
const LOOK_MS = 5;
/** Transactions whose dropped files the server still gives back; each keeps a connection. */
const FREEING_MAX = 2;

/** What dropping came to. */
export interface DroppedPartitions {
  readonly partitions: number;
  readonly rows: number;
  /** Of the rows, those that were estimated. */
  readonly estimatedRows: number;
  readonly bytes: number;
  /** Rows moved to the partition of kept rows first. */
  readonly moved: number;
  /** False when the time ended first, or a lock was not to be had: the next run goes on. */
  readonly finished: boolean;
}

interface Partition {
  readonly [column: string]: unknown;
  readonly oid: number;
  readonly name: string;
  readonly day: string;
  readonly bytes: number;
  /** Its last row expires by then, if each row of it keeps the platform's time. */
  readonly over: boolean;
}

/**
 * Drops the partitions of storage records whose rows are past their time. Rows that must stay (under a hold, not
 * archived, kept until deleted by hand, or expiring later) are moved to the partition of kept rows first: what this
 * costs grows with them, not with the rows that go.
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

/** The partitions whose day began so long ago that rows of it may be past. One that is empty and still written to stays. */
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
 * Drops partitions together, but for those of which more came to be kept, and for all of them where they could not be had
 * for a while. Answers the dropped ones. What the server has still to do then is added to `freeing`, until it is done.
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
 * Drops, and waits until that is committed: until others no longer see the partitions. PostgreSQL answers a commit only
 * once the file system has taken the dropped files back, long after the commit is durable and its locks are gone. That
 * takes the longer the larger they are (some 0.2 ms a megabyte), and nothing here has to wait for it.
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

/** More rows came to be kept than one transaction moves: the next run moves them. */
class StillKept extends Error {
  override name = 'StillKept';
  readonly partition: Partition;
  constructor(partition: Partition) {
    super(`more rows of ${partition.name} came to be kept`);
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
  // From here on nobody reads or writes records. The parent's lock first: who waits for it holds no partition's.
  await transaction.query('lock table only storage_records in access exclusive mode');
  const drops: Drop[] = [];
  for (const [partition, { rows, estimated }] of counted) {
    const moved = await moveNewlyKept(transaction, partition, cutoff);
    drops.push({ partition, rows: Math.max(0, rows - moved), estimated, moved });
    await transaction.query(`select ops.drop_partition('storage_records', $1, $2)`, [partition.name, cutoff]);
    // A day that is still written to: a run that was asked for as of another time. It gets a new, empty partition.
    await transaction.query(
      `select ops.make_partition('storage_records', 'day', $1::date) where $1::date >= current_date - 1`,
      [partition.day],
    );
  }
  return drops;
}

/** Moves what came to be kept since the last look, and answers how much; nobody else reads or writes meanwhile. */
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

/** What of a plan tells how many rows the planner reckons with. */
const planRows = z.tuple([z.object({ Plan: z.object({ 'Plan Rows': z.number() }) })]);
