import type { DataType } from './expiry.ts';

/** A row as a hold sees it: SQL expressions over the caller's own aliases, never a client's text. */
export interface HeldRow {
  readonly tenantId: string;
  /** The kinds of data that the row counts as. */
  readonly dataTypes: readonly DataType[];
  /** The ids by which a hold may name the row, as uuid[]: its own, and those of what it came from. Evaluated only if needed. */
  readonly ids: string;
  readonly createdAt: string;
}

/**
 * SQL that is true where an open legal hold of the row's tenant covers the row. The rule itself is `ops.scope_covers` and
 * `held_ids`, in the database, so that dropping a partition judges by the same one. A hold that cannot be understood holds
 * all of the tenant's.
 */
export function heldSql(row: HeldRow): string {
  return `exists (
    select from legal_holds h
     where h.tenant_id = ${row.tenantId} and h.released_at is null
       and ${coversSql('h.scope', row.dataTypes, row.createdAt)}
       and (h.held_ids is null or h.held_ids && (${row.ids})))`;
}

/** SQL that is true where a scope covers what counts as these kinds of data and was made at that time. */
export function coversSql(scope: string, dataTypes: readonly DataType[], createdAt: string): string {
  const kinds = dataTypes.map((dataType) => `'${dataType}'`).join(', ');
  return `ops.scope_covers(${scope}, array[${kinds}]::text[], ${createdAt})`;
}

/** SQL that is true where an open hold of the tenant names this id, whatever kinds and times it covers. */
export function namedByHoldSql(tenantId: string, id: string): string {
  return `exists (
    select from legal_holds h
     where h.tenant_id = ${tenantId} and h.released_at is null and h.held_ids @> array[${id}])`;
}

/** SQL that is true where the tenant's policy keeps this kind of data until somebody deletes it by hand. */
export function retainedSql(tenantId: string, dataType: DataType): string {
  return `exists (
    select from data_retention_policies p
     where p.tenant_id = ${tenantId} and p.data_type = '${dataType}' and p.is_active and not p.auto_delete)`;
}
