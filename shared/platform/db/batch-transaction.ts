import type { CrossTenantDatabase, CrossTenantTransaction } from './tenant-database.ts';

/**
 * A batch that waits longer than this for a lock gives up. While it waits for a table's lock, all requests to that table
 * wait behind it.
 */
const LOCK_TIMEOUT_MS = 1_000;

/**
 * Runs one batch in one transaction: rows by keys, or the next rows in an index's order. Its statements use indexes row by row
 * and stop when the batch is full. They never scan or sort a whole table. A new partition has no statistics yet: the planner
 * would think that it is nearly empty, and scan it.
 * @throws 55P03 when a lock is not free in time; what the batch throws.
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
