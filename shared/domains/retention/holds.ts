import type { DataType } from './expiry.ts';

/** A row as a hold sees it: SQL expressions over the caller's own aliases, never a client's text. */
export interface HeldRow {
  readonly tenantId: string;
  /** The kinds of data that the row counts as. */
  readonly dataTypes: readonly DataType[];
  /** The row's ids, each a text expression: its own, and that of the request it came from. */
  readonly ids: readonly string[];
  readonly createdAt: string;
}

/**
 * A scope's part as SQL: absent, empty, or not what it should be, it limits nothing. A hold that cannot be understood
 * holds all of the tenant's.
 */
export function scopeLimits(part: 'data_types' | 'record_ids', scope: string): string {
  return `(jsonb_typeof(${scope}->'${part}') is not distinct from 'array' and ${scope}->'${part}' <> '[]')`;
}

/** A bound of a scope as timestamptz, or `otherwise` where it gives none. */
export function scopeBound(
  bound: 'created_from' | 'created_to',
  scope: string,
  otherwise: 'infinity' | '-infinity',
): string {
  return `case when pg_input_is_valid(coalesce(${scope}->>'${bound}', ''), 'timestamptz')
               then (${scope}->>'${bound}')::timestamptz else '${otherwise}'::timestamptz end`;
}

/** SQL that is true where a scope's data types include one of these. */
export function scopeCovers(dataTypes: readonly DataType[], scope: string): string {
  const names = dataTypes.map((dataType) => `'${dataType}'`).join(', ');
  return `(not ${scopeLimits('data_types', scope)} or ${scope}->'data_types' ?| array[${names}]::text[])`;
}

/** SQL that is true where an open legal hold of the row's tenant covers the row. */
export function heldSql(row: HeldRow): string {
  return `exists (
    select from legal_holds h
     where h.tenant_id = ${row.tenantId} and h.released_at is null
       and ${scopeCovers(row.dataTypes, 'h.scope')}
       and (not ${scopeLimits('record_ids', 'h.scope')} or h.scope->'record_ids' ?| array[${row.ids.join(', ')}]::text[])
       and ${row.createdAt} >= ${scopeBound('created_from', 'h.scope', '-infinity')}
       and ${row.createdAt} <= ${scopeBound('created_to', 'h.scope', 'infinity')})`;
}

/** SQL that is true where the tenant's policy keeps this kind of data until somebody deletes it by hand. */
export function retainedSql(tenantId: string, dataType: DataType): string {
  return `exists (
    select from data_retention_policies p
     where p.tenant_id = ${tenantId} and p.data_type = '${dataType}' and p.is_active and not p.auto_delete)`;
}
