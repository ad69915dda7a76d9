import type { PartitionedTable } from '../../platform/db/partitions.ts';
import { instantOfId } from '../../platform/ids/ids.ts';
import { addDays, utcDay } from '../../platform/time/clock.ts';

/** The columns of a record as it is read, in the order of `storageRecord`. */
export const RECORD_COLUMNS = `id, tenant_id, detector, model_version, mapped_data, metadata, timestamp, source_table,
  source_id, encrypted, container_name, blob_url, encode(blob_sha256, 'hex') as blob_sha256, access_tier, archived_at,
  azure_region, resource_group, created_at, expires_at`;

/** The records' partitions, but for that of {@link KEPT_DAY}. */
export const STORAGE_RECORDS: PartitionedTable = { table: 'storage_records', grain: 'day' };

/** The partition of records that do not leave with their day's. */
export const KEPT_DAY = '9999-12-31';

/**
 * The partitions in which a record can lie: its day's, by the instant in its id, and that of kept rows. Undefined for an
 * id that this service did not make (imported data), which can lie anywhere.
 */
export function partitionDaysOf(id: string): readonly string[] | undefined {
  const instant = instantOfId(id);
  return instant === undefined ? undefined : [utcDay(instant), KEPT_DAY];
}

/** The partitions of several records, or null if they can lie anywhere: for `partition_day = any($n::date[])`. */
export function partitionDaysOfAll(ids: readonly string[]): readonly string[] | null {
  const days = ids.map(partitionDaysOf);
  if (days.some((known) => known === undefined)) return null;
  return [...new Set(days.flatMap((known) => known ?? []))];
}

/** SQL for the instant that a UUIDv7 was made; null for any other id. */
export function instantOfIdSql(id: string): string {
  return `case when substr(${id}::text, 15, 1) = '7'
    then to_timestamp(('x' || left(replace(${id}::text, '-', ''), 12))::bit(48)::bigint / 1000.0) end`;
}

/** Older days have few records of their own left: their rows have expired, or are kept with those of other days. */
const RECENT_DAYS = 100;

/**
 * Days as literals of a statement's text. The server then keeps a plan with these partitions alone, where it would plan
 * again each time for days that are bound. Undefined unless all are recent: each text is one more plan on each connection,
 * and a client could name any day.
 */
export function daysAsText(days: readonly string[], now: Date): string | undefined {
  const [first, last] = [utcDay(addDays(now, -RECENT_DAYS)), utcDay(addDays(now, 1))];
  const isRecent = (day: string): boolean => /^\d{4}-\d\d-\d\d$/.test(day) && day >= first && day <= last;
  if (!days.every((day) => day === KEPT_DAY || isRecent(day))) return undefined;
  return days.map((day) => `date '${day}'`).join(', ');
}
