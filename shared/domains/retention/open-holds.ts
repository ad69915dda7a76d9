import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';

/** The ids of a tenant's open legal holds, whatever they cover. Within {@link inDeletingBatch} no other one can be placed. */
export async function findOpenHolds(
  core: CrossTenantDatabase | CrossTenantTransaction,
  tenantId: string,
): Promise<string[]> {
  const rows = await core.query<{ hold_id: string }>(
    `select hold_id from legal_holds where tenant_id = $1 and released_at is null order by placed_at, hold_id`,
    [tenantId],
  );
  return rows.map(({ hold_id }) => hold_id);
}
