import type { PartitionedTable } from '../../platform/db/partitions.ts';
import { instantOfId } from '../../platform/ids/ids.ts';
import { addDays, utcDay } from '../../platform/time/clock.ts';

/** The columns of a record for reads, in the order of `storageRecord`. */
export const RECORD_COLUMNS = `id, tenant_id, detector, model_version, mapped_data, metadata, timestamp, source_table,
  source_id, encrypted, container_name, blob_url, encode(blob_sha256, 'hex') as blob_sha256, access_tier, archived_at,
  azure_region, resource_group, created_at, expires_at`;

/** The records' partitions, except {@link KEPT_DAY}'s. */
export const STORAGE_RECORDS: PartitionedTable = { table: 'storage_records', grain: 'day' };

/** The partition of kept rows: records that are not dropped with their day. */
export const KEPT_DAY = '9999-12-31';

/**
 * The partitions that a record can be in: its day's, by the instant in its id, and that of kept rows. Undefined for an id
 * that this service did not make (imported data): such a record can be anywhere.
 */
export function partitionDaysOf(id: string): readonly string[] | undefined {
  const instant = instantOfId(id);
  return instant === undefined ? undefined : [utcDay(instant), KEPT_DAY];
}

/** The partitions of several records, for `partition_day = any($n::date[])`; null if they can be anywhere. */
export function partitionDaysOfAll(ids: readonly string[]): readonly string[] | null {
  const days = ids.map(partitionDaysOf);
  if (days.some((known) => known === undefined)) return null;
  return [...new Set(days.flatMap((known) => known ?? []))];
}

/** SQL for the instant in a UUIDv7; null for any other id. */
export function instantOfIdSql(id: string): string {
  return `case when substr(${id}::text, 15, 1) = '7'
    then to_timestamp(('x' || left(replace(${id}::text, '-', ''), 12))::bit(48)::bigint / 1000.0) end`;
}

/** Partitions of older days have few rows left: the rest has expired or is in the partition of kept rows. */
const RECENT_DAYS = 100;

/**
 * Days as literals of a statement's text. For literals the server keeps a plan with only these partitions; for parameters it
 * would plan each time. Undefined unless all days are recent: each text is one more plan on each connection, and a client
 * could ask for any day.
 */
export function daysAsText(days: readonly string[], now: Date): string | undefined {
  const [first, last] = [utcDay(addDays(now, -RECENT_DAYS)), utcDay(addDays(now, 1))];
  const isRecent = (day: string): boolean => /^\d{4}-\d\d-\d\d$/.test(day) && day >= first && day <= last;
  if (!days.every((day) => day === KEPT_DAY || isRecent(day))) return undefined;
  return days.map((day) => `date '${day}'`).join(', ');
}
