import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';

/** Seeds the platform's own tenant, which owns operators' keys and the defaults. An existing one is not changed. */
export async function seedPlatformTenant(transaction: CrossTenantTransaction): Promise<void> {
  await transaction.query(
    `insert into tenants (tenant_id, name, plan_id, has_quota) values ($1, 'Platform', 'enterprise', false) on conflict do nothing`,
    [PLATFORM_TENANT],
  );
}

/** Whether {@link seedPlatformTenant} has run. */
export async function hasPlatformTenant(core: CrossTenantDatabase): Promise<boolean> {
  const rows = await core.query('select from tenants where tenant_id = $1', [PLATFORM_TENANT]);
  return rows.length > 0;
}
