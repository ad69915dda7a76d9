import type { Call, DatabaseName } from '../call/call.ts';
import { withPartitions } from '../db/partitions.ts';

/** A table that is partitioned by the day of the write, in the write's own database. */
export interface DailyTable {
  readonly dailyTable: string;
}

/** Runs a write. If its table's partition of today is missing, makes it and runs the write once more. */
export function withPartition<T>(
  call: Call,
  { dailyTable, database = 'core' }: Partial<DailyTable> & { readonly database?: DatabaseName },
  write: () => Promise<T>,
): Promise<T> {
  if (dailyTable === undefined) return write();
  const partitioned = { table: dailyTable, grain: 'day' } as const;
  return withPartitions(call.services.crossTenant[database], partitioned, [call.now], write);
}
