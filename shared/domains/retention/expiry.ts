import type { TenantConfig, TenantContext } from '../../platform/auth/tenant-context.ts';
import { minimumOf } from './framework-minimums.ts';
import { addDays } from '../../platform/time/clock.ts';

/** The platform's retention where neither a policy nor the tenant's settings say otherwise. */
export const RETENTION_DAYS_DEFAULT = 90;

/** The kinds of data that retention policies name. */
export const DATA_TYPES = [
  'storage_records',
  'orchestrations',
  'mappings',
  'analyses',
  'analysis_metrics',
  'audit_logs',
] as const;
/** A kind of data that retention policies name. */
export type DataType = (typeof DATA_TYPES)[number];

/** How many days a tenant keeps a kind of data. */
export function retentionDaysOf(context: TenantContext, dataType: DataType): number {
  return context.retentionDays[dataType] ?? defaultDaysOf(context.config);
}

/** How many days a tenant keeps what it has no policy for: what its settings say, else what its frameworks ask for. */
export function defaultDaysOf(config: Pick<TenantConfig, 'retention_days' | 'frameworks'>): number {
  const minimum = minimumOf(config.frameworks)?.days ?? 0;
  return config.retention_days ?? Math.max(RETENTION_DAYS_DEFAULT, minimum);
}

/** When something recorded now expires. */
export function expiryOf(context: TenantContext, dataType: DataType, now: Date): Date {
  return addDays(now, retentionDaysOf(context, dataType));
}
