import type {
  CrossTenantDatabase,
  CrossTenantTransaction,
  TenantTransaction,
} from '../../platform/db/tenant-database.ts';
import type { TenantStatus } from '../../platform/auth/tenant-context.ts';

/** What decides whether a tenant may be erased. */
export interface LeavingTenant {
  readonly [column: string]: unknown;
  readonly status: TenantStatus;
  /** When its days of reading and export are over; null unless it is offboarding. */
  readonly offboarding_ends_at: string | null;
}

/** Reads a tenant and locks its row; undefined if there is none. */
export async function lockLeavingTenant(
  transaction: CrossTenantTransaction,
  tenantId: string,
): Promise<LeavingTenant | undefined> {
  const [row] = await transaction.query<LeavingTenant>(
    `select status, offboarding_ends_at from tenants where tenant_id = $1 for no key update`,
    [tenantId],
  );
  return row;
}

/** Whether a tenant is erased. With what excludes batches that delete, it stays so until the transaction ends. */
export async function isTenantErased(
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
): Promise<boolean> {
  const rows = await transaction.query(
    `select 1 as one from tenants where tenant_id = $1 and status = 'erased'`,
    [tenantId],
  );
  return rows.length > 0;
}

/**
 * Marks a tenant erased, if it is leaving and its days are over, or were cut short while it was leaving: a wish of an earlier leaving that
 * was undone does not count for this one. From then on nobody signs in for it, within seconds everywhere. True if it is erased.
 */
export async function markErased(
  transaction: CrossTenantTransaction,
  tenantId: string,
  wish: { readonly early: boolean; readonly requestedAt: string },
  now: Date,
): Promise<boolean> {
  await transaction.query(
    `update tenants set status = 'erased', updated_at = $2, version = version + 1
      where tenant_id = $1 and status = 'offboarding'
        and (offboarding_ends_at <= $2 or ($3 and coalesce(status_changed_at <= $4, true)))`,
    [tenantId, now, wish.early, wish.requestedAt],
  );
  // An export has everything in clear. The job that makes exports deletes those whose time is over.
  await transaction.query(
    `update ops.tenant_exports set delete_after = $2
      where tenant_id = $1 and status in ('completed', 'failed') and (delete_after is null or delete_after > $2)`,
    [tenantId, now],
  );
  const [row] = await transaction.query(`select from tenants where tenant_id = $1 and status = 'erased'`, [
    tenantId,
  ]);
  return row !== undefined;
}

/** Marks tenants erased whose keys are destroyed: a restored database has them as they were before. Returns those that it changed. */
export async function markErasedAgain(
  core: CrossTenantDatabase,
  tenantId: string,
  now: Date,
): Promise<boolean> {
  const rows = await core.query(
    `update tenants set status = 'erased', updated_at = $2, version = version + 1
      where tenant_id = $1 and status <> 'erased' returning tenant_id`,
    [tenantId, now],
  );
  return rows.length > 0;
}

/** The tenants whose days of offboarding are over, the first first. */
export async function findOffboarded(core: CrossTenantDatabase, now: Date, limit: number): Promise<string[]> {
  const rows = await core.query<{ tenant_id: string }>(
    `select tenant_id from tenants where status = 'offboarding' and offboarding_ends_at <= $1
      order by offboarding_ends_at, tenant_id limit $2`,
    [now, limit],
  );
  return rows.map(({ tenant_id }) => tenant_id);
}

/** Whether a tenant has exports whose container is not deleted yet. */
export async function hasExports(core: CrossTenantDatabase, tenantId: string): Promise<boolean> {
  const rows = await core.query(
    `select from ops.tenant_exports where tenant_id = $1 and status <> 'deleted' limit 1`,
    [tenantId],
  );
  return rows.length > 0;
}

/** Which of some names are ids of tenants, also of erased ones. */
export async function findTenantIds(
  core: CrossTenantDatabase,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await core.query<{ tenant_id: string }>(
    `select tenant_id from tenants where tenant_id = any($1::text[])`,
    [names],
  );
  return new Set(rows.map(({ tenant_id }) => tenant_id));
}
