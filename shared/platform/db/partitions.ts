import { log } from '../log/log.ts';
import { utcDay } from '../time/clock.ts';
import { faultOf } from './errors.ts';
import type { CrossTenantDatabase } from './tenant-database.ts';

/** A table whose rows lie in partitions by the UTC day or month of their time. */
export interface PartitionedTable {
  readonly table: string;
  readonly grain: 'day' | 'month';
}

/**
 * Makes the partition that a date, `2026-01-31`, lies in. Answers whether it was missing. It belongs to no tenant, and only
 * the cross-tenant role may make one.
 */
export async function makePartition(
  database: CrossTenantDatabase,
  { table, grain }: PartitionedTable,
  date: string,
): Promise<boolean> {
  const [row] = await database.query<{ made: boolean }>(
    'select ops.make_partition($1, $2, $3::date) as made',
    [table, grain, date],
  );
  return row?.made === true;
}

/**
 * Runs a write into a partitioned table. Where a partition is missing (a timer makes the usual ones ahead, and may have been
 * away; a row may be late or early; a day may have been dropped), makes those of the rows' instants and runs the write once
 * more. Nothing may remain of the first try: it is one statement or one transaction.
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
