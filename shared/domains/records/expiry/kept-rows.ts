import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { KEPT_DAY } from '../record-columns.ts';

/** Kept rows, for each reason, that one transaction moves. A row is deleted and inserted with eight indexes: about 0.1 ms. */
export const MOVE_BATCH = 2_000;

/**
 * Moves a day's rows that must stay to the partition of kept rows, in batches: rows under a hold, not archived, kept until a
 * manual deletion, or expiring later. The cost grows with these rows, not with those that are dropped.
 */
export async function moveKeptRows(
  database: CrossTenantDatabase,
  day: string,
  cutoff: Date,
  timeLeftMs: () => number,
): Promise<{ moved: number; finished: boolean }> {
  let moved = 0;
  for (;;) {
    if (timeLeftMs() === 0) return { moved, finished: false };
    const batch = await inBatch(database, (transaction) => moveKeptBatch(transaction, day, cutoff));
    moved += batch;
    if (batch === 0) return { moved, finished: true };
  }
}

/** Moves one batch and returns its size: 0 when no row of the day must stay. */
export async function moveKeptBatch(
  transaction: CrossTenantTransaction,
  day: string,
  cutoff: Date,
): Promise<number> {
  const rows = await transaction.query(
    `with kept as materialized (select distinct tenant_id, id from ops.kept_records($1::date, $2::timestamptz, $3))
     update storage_records r set partition_day = '${KEPT_DAY}' from kept
      where r.tenant_id = kept.tenant_id and r.id = kept.id and r.partition_day = $1::date
     returning 1`,
    [day, cutoff, MOVE_BATCH],
    { prepare: false },
  );
  return rows.length;
}
