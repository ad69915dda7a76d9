import { faultOf } from './errors.ts';
import type { CrossTenantDatabase } from './tenant-database.ts';

/**
 * Runs a write into a table that is partitioned by month, making the partitions of late or early rows when one is missing:
 * a timer makes the usual ones ahead of time, so that ordinary writes ask for none.
 * @throws what the write throws.
 */
export async function withMonthPartitions<T>(
  database: CrossTenantDatabase,
  table: 'audit_logs' | 'usage_records',
  instants: readonly Date[],
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (faultOf(error) !== 'no_partition') throw error;
  }
  const months = new Set(instants.map((instant) => `${instant.toISOString().slice(0, 7)}-01`));
  for (const month of [...months].sort())
    await database.query(`select ops.make_partition($1, 'month', $2::date)`, [table, month]);
  return write();
}
