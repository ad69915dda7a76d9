import type { ExpiringTable } from '../retention/expiring-table.ts';
import { KEPT_DAY } from './record-columns.ts';

/** The day that a UUIDv7 was made on, in UTC; of any other id a day that has no partition. */
const DAY_OF_ID = `case when substr(w.id::text, 15, 1) = '7'
  then (to_timestamp(('x' || left(replace(w.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) at time zone 'UTC')::date end`;

/**
 * How records expire: once they are archived. A hold names a record by its own id, by the mapping that it came from, or by
 * that one's orchestration; what it names may be a blob alone, whose record has expired.
 */
export const expiringRecords: ExpiringTable = {
  table: 'storage_records',
  idColumn: 'id',
  dataType: 'storage_records',
  holdIds: 'array[t.id] || ops.mapping_ids(t.tenant_id, t.source_id)',
  named: [
    ...['record_id', 'source_id', 'orchestration_id'].map(
      (column) =>
        `select true from ops.blobs b where b.tenant_id = $1 and b.${column} = w.id and b.deleted_at is null`,
    ),
    `select true from storage_records r where r.tenant_id = $1 and r.id = w.id and r.partition_day = '${KEPT_DAY}'`,
    `select true from storage_records r where r.tenant_id = $1 and r.id = w.id and r.partition_day = ${DAY_OF_ID}`,
    // Imported records lie under other days than their ids say.
    'select true from storage_records r where r.tenant_id = $1 and r.id = w.id',
  ],
  stays: [{ fate: 'not_archived', when: 't.archived_at is null' }],
  partitions: { column: 'partition_day', keptDay: KEPT_DAY },
};

/**
 * SQL that is true while there is a mapping's record. It lies under the day of the response or is kept; each look is pruned to
 * one partition. Scalar, so that it is never turned into a join over all.
 */
export function recordOfMappingStays(of: { tenantId: string; recordId: string; createdAt: string }): string {
  const look = (day: string): string =>
    `(select true from storage_records r
       where r.tenant_id = ${of.tenantId} and r.id = ${of.recordId} and r.partition_day = ${day} limit 1)`;
  return `coalesce(${look(`'${KEPT_DAY}'`)}, ${look(`(${of.createdAt} at time zone 'UTC')::date`)}, false)`;
}
