import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';

/**
 * Runs one batch that deletes. No legal hold and no policy can change between the batch's reads and its commit: placing a hold
 * waits for the running batch.
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
