import type { z } from 'zod';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import { tenantConfigSchema } from './tenant-config.ts';

const settings = tenantConfigSchema.pick({ frameworks: true, retention_days: true }).strip();

/** The part of a tenant's settings that concerns retention. */
export type RetentionSettings = z.output<typeof settings>;

/**
 * Reads a tenant's retention settings from the database, not from a cache, for decisions that need the present value. Undefined
 * if they cannot be parsed: then the tenant's frameworks are unknown.
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
