import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';

/**
 * One batch that deletes: no legal hold and no policy can change between its look at them and its commit. Placing a hold
 * waits for the batch at hand.
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
