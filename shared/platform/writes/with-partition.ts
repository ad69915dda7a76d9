import { faultOf } from '../db/errors.ts';
import type { Call } from '../call/call.ts';
import { log } from '../log/log.ts';
import { utcDay } from '../time/clock.ts';

/** A table of the core database that is partitioned by the day of the write. */
export interface DailyTable {
  readonly dailyTable: string;
}

/**
 * Runs a write of a table that is partitioned by day. Where the day's partition is missing (the timer that makes them ahead
 * was away for a month, or a day was dropped early), makes it and runs the write once more. Nothing of the first try
 * remains: it is one statement or one transaction.
 */
export async function withPartition<T>(
  call: Call,
  { dailyTable }: Partial<DailyTable>,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (dailyTable === undefined || faultOf(error) !== 'no_partition') throw error;
    const day = utcDay(call.now);
    log.warn('partition-missing', { table: dailyTable, day });
    // Across tenants: a partition belongs to no tenant, and the app's own role may make none.
    await call.services.crossTenant.core.query(`select ops.make_partition($1, 'day', $2::date)`, [
      dailyTable,
      day,
    ]);
    return write();
  }
}
