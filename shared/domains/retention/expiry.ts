import type { TenantContext } from '../../platform/auth/tenant-context.ts';
import { LONGEST_MINIMUM_DAYS, minimumOf } from './framework-minimums.ts';
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
  const { retention_days: ofSettings, frameworks } = context.config;
  return daysKept(context.retentionDays[dataType] ?? ofSettings, frameworks);
}

/**
 * How many days something is kept: what a policy or the tenant's settings say, or the platform's days, and not less than the
 * frameworks ask for. What is stored can say less: it was taken under other rules. `frameworks` undefined: nobody knows them, and
 * the longest minimum of any counts.
 */
export function daysKept(own: number | null, frameworks: readonly string[] | undefined): number {
  const minimum = frameworks === undefined ? LONGEST_MINIMUM_DAYS : (minimumOf(frameworks)?.days ?? 0);
  return Math.max(own ?? RETENTION_DAYS_DEFAULT, minimum);
}

/** When something recorded now expires. */
export function expiryOf(context: TenantContext, dataType: DataType, now: Date): Date {
  return addDays(now, retentionDaysOf(context, dataType));
}
