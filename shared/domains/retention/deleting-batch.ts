import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';

/** A batch that waits longer for a lock than this gives way: requests queue up behind what waits for a table's lock. */
const LOCK_TIMEOUT_MS = 1_000;

/**
 * One batch, as a transaction. Batches go through indexes row by row, and never read a table from end to end, however
 * stale the statistics of a partition that was filled yesterday may be.
 * @throws 55P03 when a lock was not to be had in time; what the batch throws.
 */
export function inBatch<T>(
  database: CrossTenantDatabase,
  run: (transaction: CrossTenantTransaction) => Promise<T>,
): Promise<T> {
  return database.transaction(async (transaction) => {
    await transaction.query(
      `select set_config('lock_timeout', $1, true), set_config('enable_seqscan', 'off', true),
              set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
              set_config('jit', 'off', true)`,
      [`${LOCK_TIMEOUT_MS}ms`],
    );
    return run(transaction);
  });
}

/**
 * One batch that deletes: no legal hold can be placed between its look at the holds and its commit. Placing one waits for
 * the batch at hand.
 */
export function inDeletingBatch<T>(
  database: CrossTenantDatabase,
  run: (transaction: CrossTenantTransaction) => Promise<T>,
): Promise<T> {
  return inBatch(database, async (transaction) => {
    await transaction.query('lock table legal_holds, data_retention_policies in share mode');
    return run(transaction);
  });
}
