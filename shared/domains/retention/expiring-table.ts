import { KEPT_DAY, type DataType } from './expiry.ts';
import { heldSql, retainedSql } from './holds.ts';

/** A table whose rows expire, besides the storage records, which have partitions and rules of their own. */
export interface ExpiringTable {
  readonly table: string;
  readonly idColumn: string;
  readonly dataType: DataType;
  /** Ids by which a hold may name the row: text expressions over the alias `t`. */
  readonly holdIds: readonly string[];
  /** SQL over the alias `t`: true where something that stays needs the row. */
  readonly neededSql: string;
  /** A table without a foreign key to this one, whose rows of the same `idColumn` go with it. */
  readonly companion?: string;
}

// A mapping is what its record came from: it stays as long as the record does. The record lies under the day of the
// response or is kept; each look is pruned to one partition. Scalar, so that it is never turned into a join over all.
const RECORD_STAYS = `coalesce((
    select coalesce(
      (select true from storage_records r
        where r.tenant_id = m.tenant_id and r.id = m.record_id and r.partition_day = '${KEPT_DAY}' limit 1),
      (select true from storage_records r
        where r.tenant_id = m.tenant_id and r.id = m.record_id
          and r.partition_day = (m.created_at at time zone 'UTC')::date limit 1))
      from mapper_responses m where m.tenant_id = t.tenant_id and m.request_id = t.request_id), false)`;

/** In the order in which they are worked through, after the storage records. */
export const EXPIRING_TABLES: readonly ExpiringTable[] = [
  {
    table: 'mapper_requests',
    idColumn: 'request_id',
    dataType: 'mappings',
    holdIds: [
      't.request_id::text',
      `coalesce((select m.record_id::text from mapper_responses m
                  where m.tenant_id = t.tenant_id and m.request_id = t.request_id), '')`,
    ],
    neededSql: RECORD_STAYS,
    companion: 'mapper_responses',
  },
  {
    table: 'orchestration_requests',
    idColumn: 'request_id',
    dataType: 'orchestrations',
    holdIds: ['t.request_id::text', `coalesce(t.job_id::text, '')`],
    neededSql: 'false',
  },
  {
    table: 'analysis_requests',
    idColumn: 'request_id',
    dataType: 'analyses',
    holdIds: ['t.request_id::text'],
    neededSql: 'false',
  },
  {
    table: 'analysis_metrics',
    idColumn: 'id',
    dataType: 'analysis_metrics',
    holdIds: ['t.id::text'],
    neededSql: 'false',
  },
];

/** SQL over the alias `t`: why a row stays though its time is over; 'expired' where nothing keeps it. */
export function fateSql(of: ExpiringTable): string {
  const held = heldSql({
    tenantId: 't.tenant_id',
    dataTypes: [of.dataType],
    ids: of.holdIds,
    createdAt: 't.created_at',
  });
  return `case when ${held} then 'on_hold' when ${retainedSql('t.tenant_id', of.dataType)} then 'retained'
               when ${of.neededSql} then 'needed' else 'expired' end`;
}

/** SQL over the alias `t` of storage_records: as {@link fateSql}. */
export const RECORD_FATE_SQL = `case when t.archived_at is null then 'not_archived'
    when ${heldSql({
      tenantId: 't.tenant_id',
      dataTypes: ['storage_records'],
      ids: ['t.id::text', 't.source_id::text'],
      createdAt: 't.created_at',
    })} then 'on_hold'
    when ${retainedSql('t.tenant_id', 'storage_records')} then 'retained' else 'expired' end`;
