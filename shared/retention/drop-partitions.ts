import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { faultOf } from '../db/errors.ts';
import type { JobsDatabase, JobsTransaction } from '../db/tenant-database.ts';
import { log } from '../log/log.ts';
import { inBatch, inDeletingBatch } from './batch-transaction.ts';
import { KEPT_DAY, RETENTION_DAYS_DEFAULT } from './expiry.ts';
import { heldSql, retainedSql, scopeBound, scopeCovers, scopeLimits } from './holds.ts';

/** Kept rows moved in one transaction: each is a deletion and an insertion with six indexes, about 0.1 ms. */
const MOVE_BATCH = 2_000;
/** Smaller partitions are counted; larger ones' rows are estimated, since a count would read them all. */
const COUNTED_BYTES_MAX = 64 * 2 ** 20;
/** A partition whose day is not all over is dropped if all but a few rows are: then moving those is the lesser work. */
const LATER_ROWS_MAX = 1_000;
const PAST_TO_LATER_MIN = 10;
/** Each attempt waits a second for its locks at the most, so that requests never wait longer for it. */
const DROP_ATTEMPTS = 5;
/** Between two looks whether a drop is committed. */
const LOOK_MS = 5;
/** Dropped partitions whose files the server still gives back; each keeps a connection. */
const FREEING_MAX = 4;

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
  database: JobsDatabase,
  cutoff: Date,
  timeLeftMs: () => number,
): Promise<DroppedPartitions> {
  let [partitions, rows, estimatedRows, bytes, moved] = [0, 0, 0, 0, 0];
  let finished = true;
  const freeing = new Set<Promise<unknown>>();
  for (const partition of await findPast(database, cutoff)) {
    if (!partition.over && !(await isMostlyPast(database, partition, cutoff))) continue;
    const ahead = await moveKeptRows(database, partition, cutoff, timeLeftMs);
    moved += ahead.moved;
    if (freeing.size >= FREEING_MAX) await Promise.race(freeing);
    const dropped = ahead.finished ? await tryDrop(database, partition, cutoff, freeing) : undefined;
    if (dropped === undefined) {
      finished = false;
      if (timeLeftMs() === 0) break;
      continue;
    }
    partitions += 1;
    rows += dropped.rows;
    estimatedRows += dropped.estimated ? dropped.rows : 0;
    bytes += partition.bytes;
    moved += dropped.moved;
  }
  return { partitions, rows, estimatedRows, bytes, moved, finished };
}

/** The partitions whose day began so long ago that rows of it may be past. One that is empty and still written to stays. */
function findPast(database: JobsDatabase, cutoff: Date): Promise<Partition[]> {
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

async function isMostlyPast(database: JobsDatabase, partition: Partition, cutoff: Date): Promise<boolean> {
  return inBatch(database, async (transaction) => {
    const [later] = await transaction.query<{ rows: number }>(
      `select count(*)::int as rows from (
         select 1 from storage_records where partition_day = $1 and expires_at > $2 limit $3) l`,
      [partition.day, cutoff, LATER_ROWS_MAX + 1],
      { prepare: false },
    );
    const laterRows = later?.rows ?? 0;
    if (laterRows > LATER_ROWS_MAX) return false;
    const enough = Math.max(1, laterRows * PAST_TO_LATER_MIN);
    const [past] = await transaction.query<{ rows: number }>(
      `select count(*)::int as rows from (
         select 1 from storage_records where partition_day = $1 and expires_at <= $2 limit $3) p`,
      [partition.day, cutoff, enough],
      { prepare: false },
    );
    return (past?.rows ?? 0) >= enough;
  });
}

async function moveKeptRows(
  database: JobsDatabase,
  partition: Partition,
  cutoff: Date,
  timeLeftMs: () => number,
): Promise<{ moved: number; finished: boolean }> {
  let moved = 0;
  for (;;) {
    if (timeLeftMs() === 0) return { moved, finished: false };
    const batch = await inBatch(database, (transaction) => moveBatch(transaction, partition, cutoff));
    moved += batch;
    if (batch === 0) return { moved, finished: true };
  }
}

/**
 * Each of these finds kept rows of one partition (`$1`) from the small side, through an index: from the open holds, the
 * policies, the unarchived rows, and the rows that expire after `$2`. `$3` is the most that it may find.
 */
const KEPT_ROWS: readonly { readonly sql: string; readonly usesCutoff: boolean }[] = [
  {
    usesCutoff: false,
    sql: `select r.tenant_id, r.id from legal_holds h
            join lateral (
              select r.tenant_id, r.id from storage_records r
               where r.tenant_id = h.tenant_id and r.partition_day = $1
                 and r.created_at >= ${scopeBound('created_from', 'h.scope', '-infinity')}
                 and r.created_at <= ${scopeBound('created_to', 'h.scope', 'infinity')}
               limit $2) r on true
           where h.released_at is null and ${scopeCovers(['storage_records'], 'h.scope')}
             and not ${scopeLimits('record_ids', 'h.scope')}
           limit $2`,
  },
  ...['r.id', 'r.source_id'].map((column) => ({
    usesCutoff: false,
    sql: `select r.tenant_id, r.id from legal_holds h
            join lateral (
              select e.value::uuid as id from jsonb_array_elements_text(
                case when ${scopeLimits('record_ids', 'h.scope')} then h.scope->'record_ids' else '[]' end) e
               where pg_input_is_valid(e.value, 'uuid')) named on true
            join lateral (
              select r.tenant_id, r.id from storage_records r
               where r.tenant_id = h.tenant_id and r.partition_day = $1 and ${column} = named.id
                 and ${heldSql({
                   tenantId: 'r.tenant_id',
                   dataTypes: ['storage_records'],
                   ids: ['r.id::text', 'r.source_id::text'],
                   createdAt: 'r.created_at',
                 })}) r on true
           where h.released_at is null and ${scopeCovers(['storage_records'], 'h.scope')}
           limit $2`,
  })),
  {
    usesCutoff: false,
    sql: `select r.tenant_id, r.id from tenants t
            join lateral (
              select r.tenant_id, r.id from storage_records r
               where r.tenant_id = t.tenant_id and r.partition_day = $1 limit $2) r on true
           where ${retainedSql('t.tenant_id', 'storage_records')} limit $2`,
  },
  {
    usesCutoff: false,
    sql: `select tenant_id, id from storage_records where partition_day = $1 and archived_at is null limit $2`,
  },
  {
    usesCutoff: true,
    sql: `select tenant_id, id from storage_records where partition_day = $1 and expires_at > $3 limit $2`,
  },
];

async function moveBatch(transaction: JobsTransaction, partition: Partition, cutoff: Date): Promise<number> {
  let moved = 0;
  for (const kept of KEPT_ROWS) {
    const rows = await transaction.query(
      `with kept as materialized (select distinct tenant_id, id from (${kept.sql}) k)
       update storage_records r set partition_day = '${KEPT_DAY}' from kept
        where r.tenant_id = kept.tenant_id and r.id = kept.id and r.partition_day = $1
       returning 1`,
      [partition.day, MOVE_BATCH, ...(kept.usesCutoff ? [cutoff] : [])],
      { prepare: false },
    );
    moved += rows.length;
    if (moved >= MOVE_BATCH) break;
  }
  return moved;
}

interface Drop {
  readonly rows: number;
  readonly estimated: boolean;
  readonly moved: number;
}

/**
 * Drops, or answers undefined where the partition could not be had for a while, or more came to be kept. What the server
 * has still to do then is added to `freeing`, until it is done.
 */
async function tryDrop(
  database: JobsDatabase,
  partition: Partition,
  cutoff: Date,
  freeing: Set<Promise<unknown>>,
): Promise<Drop | undefined> {
  for (let attempt = 1; attempt <= DROP_ATTEMPTS; attempt += 1) {
    try {
      return await dropUntilCommitted(database, partition, cutoff, freeing);
    } catch (error) {
      if (error instanceof StillKept) return undefined;
      if (faultOf(error) !== 'contention') throw error;
      log.warn('partition-not-dropped', { partition: partition.name, attempt });
    }
  }
  return undefined;
}

/**
 * Drops, and waits until that is committed: until others no longer see the partition. PostgreSQL answers a commit only
 * once the file system has taken the dropped files back, long after the commit is durable and its locks are gone. That
 * takes the longer the larger they are (some 0.2 ms a megabyte), and nothing here has to wait for it.
 */
async function dropUntilCommitted(
  database: JobsDatabase,
  partition: Partition,
  cutoff: Date,
  freeing: Set<Promise<unknown>>,
): Promise<Drop> {
  let ready: Drop | undefined;
  const committed = inDeletingBatch(database, async (transaction) => {
    ready = await drop(transaction, partition, cutoff);
    return ready;
  });
  const settled: Promise<unknown> = committed.catch(() => undefined).then(() => freeing.delete(settled));
  freeing.add(settled);
  for (;;) {
    const dropped = await Promise.race([committed, delay(LOOK_MS)]);
    if (dropped !== undefined) return dropped;
    if (ready === undefined) continue;
    const seen = await database.query('select from pg_class where oid = $1', [partition.oid]);
    if (seen.length === 0) return ready;
  }
}

/** More rows came to be kept than one transaction moves: the next run moves them. */
class StillKept extends Error {
  override name = 'StillKept';
}

async function drop(transaction: JobsTransaction, partition: Partition, cutoff: Date): Promise<Drop> {
  await transaction.query(`select ops.hold_partition('storage_records', $1)`, [partition.name]);
  const counted = await countRows(transaction, partition);
  // From here on nobody reads or writes records. The parent's lock first: who waits for it holds no partition's.
  await transaction.query('lock table only storage_records in access exclusive mode');
  const moved = await moveBatch(transaction, partition, cutoff);
  if (moved >= MOVE_BATCH) throw new StillKept();
  await transaction.query(`select ops.drop_partition('storage_records', $1)`, [partition.name]);
  // A day that is still written to: a run that was asked for as of another time. Its partition begins anew.
  await transaction.query(
    `select ops.make_partition('storage_records', 'day', $1::date) where $1::date >= current_date - 1`,
    [partition.day],
  );
  return { rows: Math.max(0, counted.rows - moved), estimated: counted.estimated, moved };
}

async function countRows(
  transaction: JobsTransaction,
  partition: Partition,
): Promise<{ rows: number; estimated: boolean }> {
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
