import type { DataType } from './expiry.ts';

/** A row that a hold may cover: SQL expressions over the caller's aliases, never a client's text. */
export interface HeldRow {
  readonly tenantId: string;
  /** The kinds of data that the row counts as. */
  readonly dataTypes: readonly DataType[];
  /** The ids that a hold may use for the row, as uuid[]: its own and those of its origins. Evaluated only if needed. */
  readonly ids: string;
  readonly createdAt: string;
}

/**
 * SQL that is true if an open legal hold of the row's tenant covers the row. The rule is in the database (`ops.scope_covers`,
 * `held_ids`), so that dropping a partition uses the same rule. A hold that cannot be parsed covers all of the tenant's data.
 */
export function heldSql(row: HeldRow): string {
  return `exists (
    select from legal_holds h
     where h.tenant_id = ${row.tenantId} and h.released_at is null
       and ${coversSql('h.scope', row.dataTypes, row.createdAt)}
       and (h.held_ids is null or h.held_ids && (${row.ids})))`;
}

/** SQL that is true if a scope covers rows of these kinds of data that were made at that time. */
export function coversSql(scope: string, dataTypes: readonly DataType[], createdAt: string): string {
  const kinds = dataTypes.map((dataType) => `'${dataType}'`).join(', ');
  return `ops.scope_covers(${scope}, array[${kinds}]::text[], ${createdAt})`;
}

/** SQL that is true if an open hold of the tenant names this id, for any kinds and times. */
export function namedByHoldSql(tenantId: string, id: string): string {
  return `exists (
    select from legal_holds h
     where h.tenant_id = ${tenantId} and h.released_at is null and h.held_ids @> array[${id}])`;
}

/** SQL that is true if the tenant's policy keeps this kind of data until a manual deletion. */
export function retainedSql(tenantId: string, dataType: DataType): string {
  return `exists (
    select from data_retention_policies p
     where p.tenant_id = ${tenantId} and p.data_type = '${dataType}' and p.is_active and not p.auto_delete)`;
}
