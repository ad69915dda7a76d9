import { orchestrationOfJobSql } from '../orchestration/ids.ts';
import type { ExpiringTable, NamedRows } from '../retention/expiring-table.ts';
import { instantOfIdSql, KEPT_DAY } from './record-columns.ts';

/** The days under which a record lies, by its id; of an id that is no UUIDv7 the second is none. */
const daysOf = (id: string): readonly string[] => [
  `'${KEPT_DAY}'`,
  `(${instantOfIdSql(id)} at time zone 'UTC')::date`,
];

/** Blobs whose `column` is this id; they outlive their records. They count as what their records came from, too. */
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
 * How records expire: once they are archived. A hold names a record by its own id, by the mapping that it came from, or by
 * that one's orchestration; what it names may be a blob alone, whose record has expired. `mappingIds`: mapping's own SQL for
 * the ids of a mapping.
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
      // Imported records lie under other days than their ids say.
      recordsWhere('true'),
      blobsBy('orchestration_id', orchestrationOfJobSql({ tenantId: '$1', jobId: 'w.id' })),
    ],
    stays: [{ fate: 'not_archived', when: 't.archived_at is null' }],
    partitions: { column: 'partition_day', keptDay: KEPT_DAY },
  };
}

/** SQL for what a record of the tenant `$1` came from; null where there is no such record. Each look is pruned to one partition. */
export function sourceOfRecordSql(id: string): string {
  const looks = daysOf(id).map(
    (day) =>
      `(select r.source_id from storage_records r where r.tenant_id = $1 and r.id = ${id} and r.partition_day = ${day} limit 1)`,
  );
  return `coalesce(${looks.join(', ')})`;
}

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
