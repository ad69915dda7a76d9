import { z } from 'zod';
import { PLATFORM_TENANT } from '../auth/principal.ts';
import type { KeysetList } from '../db/keyset.ts';
import type { Parameter } from '../db/tenant-database.ts';
import type { Collection } from './collection.ts';
import { ancestorsOf, isVersioned, timeFieldOf, type Resource } from './resource.ts';

// Every name in these texts comes from a declaration, never from a client.

/** The column of a field. */
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

function idType(resource: Resource): 'uuid' | 'text' {
  return resource.idSchema === undefined ? 'uuid' : 'text';
}

/** Whether a field is a number. The driver returns `numeric` as text, so numbers are read as doubles. */
function isNumber(schema: unknown): boolean {
  if (schema instanceof z.ZodNumber) return true;
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodNullable || schema instanceof z.ZodOptional)
    return isNumber(schema.unwrap());
  return false;
}

/** The select list of a row. */
export function selectList(resource: Resource): string {
  const { parent } = resource;
  const numbers = new Set(
    Object.entries({ ...resource.body.shape, ...resource.readOnly })
      .filter(([, schema]) => isNumber(schema))
      .map(([field]) => field),
  );
  const fields = [
    ...(resource.scope === 'shared' ? ['tenant_id'] : []),
    ...(parent === undefined ? [] : [parent.column]),
    resource.idColumn,
    ...bodyFields(resource),
    ...Object.keys(resource.readOnly ?? {}),
    'created_at',
    ...(isVersioned(resource) ? ['updated_at'] : []),
  ].map((field) => {
    const column = columnOf(resource, field);
    if (numbers.has(field)) return `t.${column}::float8 as ${field}`;
    return column === field ? `t.${field}` : `t.${column} as ${field}`;
  });
  return [...fields, ...(isVersioned(resource) ? ['t.version as row_version'] : [])].join(', ');
}

interface Statement {
  readonly text: string;
  readonly parameters: readonly Parameter[];
}

/**
 * The statement that reads one row, for {@link TenantDatabase.statement}. The tenant's own row comes before the platform's.
 */
export function readStatement(collection: Collection, id: string): Statement {
  const { resource, parentIds, restricted } = collection;
  const parameters: Parameter[] = [id];
  const bind = (value: Parameter): string => `$${parameters.push(value) + 1}`;
  const conditions = [`t.${resource.idColumn} = $2`];
  if (resource.scope === 'tenant') conditions.push('t.tenant_id = scope.tenant_id');
  if (resource.scope === 'shared')
    conditions.push(`t.tenant_id in (scope.tenant_id, ${bind(PLATFORM_TENANT)})`);
  const parentId = parentIds.at(-1);
  if (resource.parent !== undefined && parentId !== undefined)
    conditions.push(`t.${resource.parent.column} = ${bind(parentId)}`);
  conditions.push(...visibility(resource, restricted));
  const ownFirst = resource.scope === 'shared' ? ' order by t.tenant_id = scope.tenant_id desc limit 1' : '';
  const row = `select ${selectList(resource)} from ${resource.table} t where ${conditions.join(' and ')}${ownFirst}`;
  return { text: `select r.* from scope, lateral (${row} offset 0) r`, parameters };
}

function visibility(resource: Resource, restricted: boolean): string[] {
  return restricted && resource.visibleToTenants !== undefined ? [`(${resource.visibleToTenants})`] : [];
}

/**
 * Finds all parents of a collection: one row if each exists, is visible to the caller, and belongs to the one above it.
 * Undefined without a parent. `inScope`: for {@link TenantDatabase.statement}; otherwise for a transaction.
 */
export function parentsStatement(
  { resource, parentIds, restricted }: Collection,
  tenantId: string,
  inScope: boolean,
): Statement | undefined {
  const ancestors = ancestorsOf(resource);
  if (ancestors.length === 0) return undefined;
  const parameters: Parameter[] = [];
  const bind = (value: Parameter): string => `$${parameters.push(value) + (inScope ? 1 : 0)}`;
  const rows = ancestors.map(({ resource: parent }, n) => {
    const conditions = [`t.${parent.idColumn} = ${bind(parentIds[n] ?? '')}::${idType(parent)}`];
    if (hasTenant(parent))
      conditions.push(`t.tenant_id = ${inScope ? 'scope.tenant_id' : `${bind(tenantId)}::text`}`);
    if (parent.parent !== undefined)
      conditions.push(
        `t.${parent.parent.column} = ${bind(parentIds[n - 1] ?? '')}::${idType(parent.parent.resource)}`,
      );
    conditions.push(...visibility(parent, restricted));
    return `lateral (select from ${parent.table} t where ${conditions.join(' and ')} offset 0) p${n}`;
  });
  return { text: `select from ${[...(inScope ? ['scope'] : []), ...rows].join(', ')}`, parameters };
}

/** The list of a collection. */
export function listOf(
  collection: Collection,
  filters: Readonly<Record<string, string | number | boolean | undefined>>,
): KeysetList {
  const { resource, parentIds, restricted } = collection;
  const wanted = Object.entries(filters).flatMap(([field, value]) =>
    value === undefined ? [] : [{ sql: `t.${columnOf(resource, field)} = ?`, value }],
  );
  const parentId = parentIds.at(-1);
  const [visible] = visibility(resource, restricted);
  return {
    table: `${resource.table} t`,
    columns: selectList(resource),
    timeColumn: timeFieldOf(resource),
    idColumn: resource.idColumn,
    idType: idType(resource),
    // The keyset's own condition allows one tenant, but a shared list has two.
    tenantColumn: resource.scope === 'tenant' ? 'tenant_id' : null,
    ...(visible === undefined ? {} : { where: visible }),
    conditions: [
      ...(resource.scope === 'shared'
        ? [{ sql: 't.tenant_id in (scope.tenant_id, ?)', value: PLATFORM_TENANT }]
        : []),
      ...(resource.parent === undefined || parentId === undefined
        ? []
        : [{ sql: `t.${resource.parent.column} = ?`, value: parentId }]),
      ...wanted,
    ],
  };
}

/**
 * Inserts a row: `$1` id, `$2` now, `$3` its columns as jsonb, `$4` the tenant. `jsonb_populate_record` takes the columns'
 * types from the table, so they are not repeated here.
 */
export function insertText(resource: Resource, columns: readonly string[]): string {
  const tenant = hasTenant(resource);
  const times = isVersioned(resource) ? ['created_at', 'updated_at'] : ['created_at'];
  const names = [...(tenant ? ['tenant_id'] : []), resource.idColumn, ...columns, ...times];
  const values = [
    ...(tenant ? ['$4::text'] : []),
    `$1::${idType(resource)}`,
    ...columns.map((column) => `r.${column}`),
    ...times.map(() => '$2::timestamptz'),
  ];
  return `insert into ${resource.table} as t (${names.join(', ')})
    select ${values.join(', ')}
      from jsonb_populate_record(null::${resource.table}, $3::jsonb) r
    returning ${selectList(resource)}`;
}

/** The parameters that limit a statement of one row to its collection: the tenant if rows have one, and the parent's id. */
export function scopeOf({ resource, parentIds }: Collection, tenantId: string): string[] {
  return [...(hasTenant(resource) ? [tenantId] : []), ...parentIds.slice(-1)];
}

/** The condition for one row: `$1` its id; from `$first` on the tenant, if rows have one, and the parent's id. */
function rowCondition(resource: Resource, first: number, restricted: boolean): string {
  const { parent } = resource;
  const next = hasTenant(resource) ? first + 1 : first;
  return [
    ...(hasTenant(resource) ? [`t.tenant_id = $${first}::text`] : []),
    ...(parent === undefined ? [] : [`t.${parent.column} = $${next}::${idType(parent.resource)}`]),
    `t.${resource.idColumn} = $1::${idType(resource)}`,
    ...visibility(resource, restricted),
  ].join(' and ');
}

/** Reads a row and locks it: `$1` id, `$2` the tenant, then the parent's id. */
export function lockText(resource: Resource, restricted = true): string {
  return `select ${selectList(resource)} from ${resource.table} t where ${rowCondition(resource, 2, restricted)} for update`;
}

/**
 * Finds a row without a lock: `$1` id, `$2` its tenant, then the parent's id. A tenant may see the platform's row, but
 * cannot lock it.
 */
export function findText(resource: Resource, restricted = true): string {
  return `select from ${resource.table} t where ${rowCondition(resource, 2, restricted)}`;
}

/** Replaces a locked row's columns: `$1` id, `$2` now, `$3` the columns as jsonb, `$4` the tenant, then the parent's id. */
export function updateText(resource: Resource, columns: readonly string[]): string {
  const set = [
    ...columns.map((column) => `${column} = r.${column}`),
    'version = t.version + 1',
    'updated_at = $2',
  ];
  return `update ${resource.table} t set ${set.join(', ')}
      from jsonb_populate_record(null::${resource.table}, $3::jsonb) r
     where ${rowCondition(resource, 4, false)}
    returning ${selectList(resource)}`;
}

/** Deletes a locked row: `$1` id, `$2` the tenant, then the parent's id. */
export function deleteText(resource: Resource): string {
  return `delete from ${resource.table} t where ${rowCondition(resource, 2, false)}`;
}
