import { setTimeout as delay } from 'node:timers/promises';
import { log } from '../log/log.ts';
import { utcDay } from '../time/clock.ts';
import { faultOf } from './errors.ts';
import type { CrossTenantDatabase } from './tenant-database.ts';

/** A table that is partitioned by the UTC day or month of its rows' time. */
export interface PartitionedTable {
  readonly table: string;
  readonly grain: 'day' | 'month';
}

/** Each attempt waits at most a second for the table's lock, because all requests to the table wait behind it. */
const ATTEMPTS = 3;
/** The requests that have waited behind an attempt go on meanwhile. */
const PAUSE_MS = 300;

/**
 * Makes the partition of a date, `2026-01-31`. Returns whether it was missing. A partition belongs to no tenant, and only
 * the cross-tenant role (`comply_jobs`) may make one.
 * @throws 55P03 when a long transaction keeps the table's lock.
 */
export async function makePartition(
  database: CrossTenantDatabase,
  { table, grain }: PartitionedTable,
  date: string,
): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [row] = await database.query<{ made: boolean }>(
        'select ops.make_partition($1, $2, $3::date) as made',
        [table, grain, date],
      );
      return row?.made === true;
    } catch (error) {
      if (attempt === ATTEMPTS || faultOf(error) !== 'contention') throw error;
      log.warn('partition-waits', { table, date, attempt });
      await delay(PAUSE_MS);
    }
  }
}

/**
 * Runs a write into a partitioned table. If a partition is missing, makes the partitions of the rows' instants and runs the
 * write once more. Usually a timer makes them ahead of time. But the timer may have been off, a row may be late or early, or
 * a day may have been dropped. The first try must leave nothing: it is one statement or one transaction.
 * @throws what the write throws.
 */
export async function withPartitions<T>(
  database: CrossTenantDatabase,
  partitioned: PartitionedTable,
  instants: readonly Date[],
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (faultOf(error) !== 'no_partition') throw error;
  }
  const isMonth = partitioned.grain === 'month';
  const dates = new Set(instants.map(utcDay).map((day) => (isMonth ? `${day.slice(0, 7)}-01` : day)));
  for (const date of [...dates].sort()) {
    log.warn('partition-missing', { table: partitioned.table, date });
    await makePartition(database, partitioned, date);
  }
  return write();
}

/**
 * The first day, `2026-01-31`, for which a table has no partition by its last one's end; undefined if it has no partition of a
 * date. Every role may ask.
 */
export async function findPartitionsEnd(
  database: CrossTenantDatabase,
  { table }: PartitionedTable,
): Promise<string | undefined> {
  const [row] = await database.query<{ past: string | null }>(
    `select max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''(\\d{4}-\\d{2}-\\d{2})'))[1]) as past
       from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = to_regclass($1)`,
    [`public.${table}`],
  );
  return row?.past ?? undefined;
}
