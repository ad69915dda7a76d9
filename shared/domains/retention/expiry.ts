import type { TenantContext } from '../../platform/auth/tenant-context.ts';
import { LONGEST_MINIMUM_DAYS, minimumOf } from './framework-minimums.ts';
import { addDays } from '../../platform/time/clock.ts';

/** The platform's retention, used without a policy or a tenant's setting. */
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

/** A tenant's retention for a kind of data, in days. */
export function retentionDaysOf(context: TenantContext, dataType: DataType): number {
  const { retention_days: ofSettings, frameworks } = context.config;
  return daysKept(context.retentionDays[dataType] ?? ofSettings, frameworks);
}

/**
 * A retention in days: that of a policy or the tenant's settings, or the platform's, but not below the frameworks' minimum. A
 * stored value can be below it, since it may be from before today's rules. If `frameworks` is undefined they are unknown, and the
 * longest minimum of all frameworks counts.
 */
export function daysKept(own: number | null, frameworks: readonly string[] | undefined): number {
  const minimum = frameworks === undefined ? LONGEST_MINIMUM_DAYS : (minimumOf(frameworks)?.days ?? 0);
  return Math.max(own ?? RETENTION_DAYS_DEFAULT, minimum);
}

/** The expiry of a row that is written now. */
export function expiryOf(context: TenantContext, dataType: DataType, now: Date): Date {
  return addDays(now, retentionDaysOf(context, dataType));
}
