import { orchestrationOfJobSql } from '../orchestration/ids.ts';
import type { ExpiringTable, NamedRows } from '../retention/expiring-table.ts';
import { instantOfIdSql, KEPT_DAY } from './record-columns.ts';

/** The partition days of a record, by its id. If the id is not a UUIDv7, the second is null. */
const daysOf = (id: string): readonly string[] => [
  `'${KEPT_DAY}'`,
  `(${instantOfIdSql(id)} at time zone 'UTC')::date`,
];

/** Blobs whose `column` is this id. They outlive their records, and a hold on a mapping covers them too. */
const blobsBy = (column: string, id: string): NamedRows => ({
  from: 'ops.blobs b',
  where: `b.tenant_id = $1 and b.${column} = ${id} and b.deleted_at is null`,
  dataTypes: ['storage_records', 'mappings'],
  createdAt: `coalesce(${instantOfIdSql('b.record_id')}, b.created_at)`,
});

const recordsWhere = (condition: string): NamedRows => ({
  from: 'storage_records r',
  where: `r.tenant_id = $1 and r.id = w.id and ${condition}`,
  dataTypes: ['storage_records'],
  createdAt: 'r.created_at',
});

/**
 * How records expire: after they are archived. A hold names a record by its own id, its mapping's, its orchestration's or the
 * `job_id`. If the record has expired, the id may name only its blob. `mappingIds` is the mapping domain's SQL for the ids of a
 * mapping.
 */
export function expiringRecordsOf(
  mappingIds: (of: { tenantId: string; mappingId: string }) => string,
): ExpiringTable {
  return {
    table: 'storage_records',
    idColumn: 'id',
    dataType: 'storage_records',
    holdIds: `array[t.id] || ${mappingIds({ tenantId: 't.tenant_id', mappingId: 't.source_id' })}`,
    named: [
      ...['record_id', 'source_id', 'orchestration_id'].map((column) => blobsBy(column, 'w.id')),
      ...daysOf('w.id').map((day) => recordsWhere(`r.partition_day = ${day}`)),
      // Imported records may be in another day's partition than their id's.
      recordsWhere('true'),
      blobsBy('orchestration_id', orchestrationOfJobSql({ tenantId: '$1', jobId: 'w.id' })),
    ],
    stays: [{ fate: 'not_archived', when: 't.archived_at is null' }],
    partitions: { column: 'partition_day', keptDay: KEPT_DAY },
  };
}

/** SQL for the mapping id of the tenant `$1`'s record; null without such a record. Each look-up reads one partition. */
export function sourceOfRecordSql(id: string): string {
  const looks = daysOf(id).map(
    (day) =>
      `(select r.source_id from storage_records r where r.tenant_id = $1 and r.id = ${id} and r.partition_day = ${day} limit 1)`,
  );
  return `coalesce(${looks.join(', ')})`;
}

/**
 * SQL that is true while a mapping's record exists. The record is in the partition of the response's day or in that of kept rows;
 * each look-up reads one partition. A scalar subquery, so that the planner cannot make a join over all partitions.
 */
export function recordOfMappingStays(of: { tenantId: string; recordId: string; createdAt: string }): string {
  const look = (day: string): string =>
    `(select true from storage_records r
       where r.tenant_id = ${of.tenantId} and r.id = ${of.recordId} and r.partition_day = ${day} limit 1)`;
  return `coalesce(${look(`'${KEPT_DAY}'`)}, ${look(`(${of.createdAt} at time zone 'UTC')::date`)}, false)`;
}
