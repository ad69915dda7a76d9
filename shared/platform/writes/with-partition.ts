import { faultOf } from '../db/errors.ts';
import type { Call } from '../call/call.ts';
import { log } from '../log/log.ts';
import { utcDay } from '../time/clock.ts';

/**
 * Runs a write; where the day's partition of records is missing, because the timer that makes them ahead has been away
 * for a month or a day was let go of early, makes it and runs the write once more. Nothing of the first try remains.
 */
export async function withPartition<T>(call: Call, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (faultOf(error) !== 'no_partition') throw error;
    const day = utcDay(call.now);
    log.warn('record-partition-missing', { day });
    // Across tenants: a partition is nobody's, and the app's own role may make none.
    await call.services.crossTenant.core.query(
      `select ops.make_partition('storage_records', 'day', $1::date)`,
      [day],
    );
    return write();
  }
}
