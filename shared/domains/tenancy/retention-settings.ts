import type { z } from 'zod';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import { tenantConfigSchema } from './tenant-config.ts';

const settings = tenantConfigSchema.pick({ frameworks: true, retention_days: true }).strip();

/** What a tenant's settings say of retention. */
export type RetentionSettings = z.output<typeof settings>;

/**
 * What a tenant's settings say of retention, as the database has it now, past every cache: for what must not be decided by an
 * old value. Undefined where they cannot be read: nobody knows then which frameworks the tenant answers to.
 */
export async function readRetentionSettings(
  database: Pick<TenantTransaction, 'query'>,
  tenantId: string,
): Promise<RetentionSettings | undefined> {
  const [row] = await database.query<{ config_data: unknown }>(
    'select config_data from tenant_configs where tenant_id = $1',
    [tenantId],
  );
  return settings.safeParse(row?.config_data ?? {}).data;
}
