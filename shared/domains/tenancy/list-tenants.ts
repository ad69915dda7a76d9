import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** A tenant, for work over all tenants. */
export interface TenantRow {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly status: string;
  readonly plan_id: string;
}

/** All tenants, erased ones too, by id. */
export function listAllTenants(core: CrossTenantDatabase): Promise<TenantRow[]> {
  return core.query<TenantRow>(`select tenant_id, status, plan_id from tenants order by tenant_id`);
}
