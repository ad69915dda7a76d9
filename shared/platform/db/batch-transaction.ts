import type { CrossTenantDatabase, CrossTenantTransaction } from './tenant-database.ts';

/** A batch that waits longer for a lock than this gives way: requests queue up behind what waits for a table's lock. */
const LOCK_TIMEOUT_MS = 1_000;

/**
 * One batch of rows by keys, or of the next rows in an index's order, as a transaction. Its statements go through indexes row by
 * row and stop where the batch is full: they never read a table or all that is due from end to end, and sort it. A partition
 * that is filled since this morning has no statistics, and the planner would then take it for nearly empty.
 * @throws 55P03 when a lock was not to be had in time; what the batch throws.
 */
export function inBatch<T>(
  database: CrossTenantDatabase,
  run: (transaction: CrossTenantTransaction) => Promise<T>,
): Promise<T> {
  return database.transaction(async (transaction) => {
    await transaction.query(
      `select set_config('lock_timeout', $1, true), set_config('enable_seqscan', 'off', true),
              set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
              set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
              set_config('jit', 'off', true)`,
      [`${LOCK_TIMEOUT_MS}ms`],
    );
    return run(transaction);
  });
}
