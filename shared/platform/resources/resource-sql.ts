import { PLATFORM_TENANT } from '../auth/principal.ts';
import type { KeysetList } from '../db/keyset.ts';
import type { Parameter } from '../db/tenant-database.ts';
import type { Resource } from './resource.ts';

/** The database's name of a field. */
export function columnOf(resource: Resource, field: string): string {
  return resource.columns?.[field] ?? field;
}

/** The fields that clients write. */
export function bodyFields(resource: Resource): string[] {
  return Object.keys(resource.body.shape);
}

/** Whether rows have a `tenant_id`. */
export function hasTenant(resource: Resource): boolean {
  return resource.scope !== 'platform';
}

/** The select list of a row: every name in it comes from the declaration, never from a client. */
export function selectList(resource: Resource): string {
  const named = [
    ...(resource.scope === 'shared' ? ['tenant_id'] : []),
    resource.idColumn,
    ...bodyFields(resource),
    ...Object.keys(resource.readOnly ?? {}),
    'created_at',
    'updated_at',
  ].map((field) => {
    const column = columnOf(resource, field);
    return column === field ? `t.${field}` : `t.${column} as ${field}`;
  });
  return [...named, 't.version as row_version'].join(', ');
}

interface Statement {
  readonly text: string;
  readonly parameters: readonly Parameter[];
}

/** The statement of one row, for {@link TenantDatabase.statement}; the tenant's own before the platform's. */
export function readStatement(resource: Resource, id: string): Statement {
  const select = `select ${selectList(resource)} from ${resource.table} t where t.${resource.idColumn} = $2`;
  const row = ((): Statement => {
    switch (resource.scope) {
      case 'platform':
        return { text: select, parameters: [id] };
      case 'tenant':
        return { text: `${select} and t.tenant_id = scope.tenant_id`, parameters: [id] };
      case 'shared':
        return {
          text: `${select} and t.tenant_id in (scope.tenant_id, $3)
                 order by t.tenant_id = scope.tenant_id desc limit 1`,
          parameters: [id, PLATFORM_TENANT],
        };
    }
  })();
  return { text: `select r.* from scope, lateral (${row.text} offset 0) r`, parameters: row.parameters };
}

/** The list that a page is read from. */
export function listOf(
  resource: Resource,
  filters: Readonly<Record<string, string | number | boolean | undefined>>,
): KeysetList {
  const wanted = Object.entries(filters).flatMap(([field, value]) =>
    value === undefined ? [] : [{ sql: `t.${columnOf(resource, field)} = ?`, value }],
  );
  return {
    table: `${resource.table} t`,
    columns: selectList(resource),
    timeColumn: 'created_at',
    idColumn: resource.idColumn,
    idType: 'uuid',
    // The keyset's own condition knows one tenant; a shared list has two.
    tenantColumn: resource.scope === 'tenant' ? 'tenant_id' : null,
    conditions: [
      ...(resource.scope === 'shared'
        ? [{ sql: 't.tenant_id in (scope.tenant_id, ?)', value: PLATFORM_TENANT }]
        : []),
      ...wanted,
    ],
  };
}

/**
 * Inserts a row: `$1` id, `$2` now, `$3` its columns as jsonb, `$4` the tenant. The columns' types are the table's own,
 * by `jsonb_populate_record`, so that they are said once.
 */
export function insertText(resource: Resource, columns: readonly string[]): string {
  const tenant = hasTenant(resource);
  return `insert into ${resource.table} as t (${[...(tenant ? ['tenant_id'] : []), resource.idColumn, ...columns, 'created_at', 'updated_at'].join(', ')})
    select ${[...(tenant ? ['$4::text'] : []), '$1::uuid', ...columns.map((column) => `r.${column}`), '$2::timestamptz', '$2::timestamptz'].join(', ')}
      from jsonb_populate_record(null::${resource.table}, $3::jsonb) r
    returning ${selectList(resource)}`;
}

function rowCondition(resource: Resource, tenantParameter: string): string {
  const id = `t.${resource.idColumn} = $1::uuid`;
  return hasTenant(resource) ? `t.tenant_id = ${tenantParameter}::text and ${id}` : id;
}

/** Reads a row and locks it: `$1` id, `$2` the tenant. */
export function lockText(resource: Resource): string {
  return `select ${selectList(resource)} from ${resource.table} t where ${rowCondition(resource, '$2')} for update`;
}

/** Finds a row without locking it: `$1` id, `$2` whose. A tenant may see the platform's row, and cannot lock it. */
export function findText(resource: Resource): string {
  return `select from ${resource.table} t where ${rowCondition(resource, '$2')}`;
}

/** Replaces a row's columns: `$1` id, `$2` now, `$3` the columns as jsonb, `$4` the tenant. */
export function updateText(resource: Resource, columns: readonly string[]): string {
  const set = [
    ...columns.map((column) => `${column} = r.${column}`),
    'version = t.version + 1',
    'updated_at = $2',
  ];
  return `update ${resource.table} t set ${set.join(', ')}
      from jsonb_populate_record(null::${resource.table}, $3::jsonb) r
     where ${rowCondition(resource, '$4')}
    returning ${selectList(resource)}`;
}

/** Deletes a row: `$1` id, `$2` the tenant. */
export function deleteText(resource: Resource): string {
  return `delete from ${resource.table} t where ${rowCondition(resource, '$2')}`;
}
