import { describe, expect, test } from 'vitest';
import { tenantTables } from '../functions/tenant-tables.ts';
import { withConnection } from '../tools/migrate/connect.ts';
import { DATABASES, type DatabaseName } from '../tools/migrate/databases.ts';
import { openDatabases } from './harness/databases.ts';

// Export and erasure know a tenant's rows only from the declarations. So each table with tenants' rows must be declared.

const databases = await openDatabases();

interface Table {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** The columns of its unique keys, in their order. */
  readonly keys: readonly (readonly string[])[];
}

/** Every table with a tenant_id, except partitions. */
async function readTables(database: DatabaseName): Promise<readonly Table[]> {
  return withConnection(databases[database].admin, async (client) => {
    const { rows } = await client.query<Table>(`
      select case when n.nspname = 'public' then c.relname else format('%s.%s', n.nspname, c.relname) end as name,
             (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, null)))
                from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
             (select json_agg((select json_agg(a.attname order by k.place)
                                 from unnest(i.indkey::int2[]) with ordinality k(number, place)
                                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number))
                from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null) as keys
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname not in ('pg_catalog', 'information_schema') and c.relkind in ('r', 'p') and not c.relispartition
         and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
       order by 1`);
    return rows;
  });
}

describe.each(DATABASES)('the %s database', async (database) => {
  const tables = await readTables(database);
  const declared = tenantTables.filter((table) => table.database === database);

  test('has no table with tenants’ rows that is not declared, or twice', () => {
    expect(declared.map(({ table }) => table).toSorted()).toEqual(tables.map(({ name }) => name).toSorted());
  });

  test.each(declared)('$table has the columns and the key of its declaration', (declaration) => {
    const table = tables.find(({ name }) => name === declaration.table);
    const named = [
      ...declaration.key,
      ...('not' in declaration.export
        ? []
        : [
            ...(declaration.export.leaveOut ?? []),
            ...(declaration.export.sealed ?? []).flatMap(({ column, keyId, boundTo }) => [
              column,
              keyId,
              boundTo,
            ]),
          ]),
      ...(declaration.onErasure === 'delete' ? [] : Object.keys(declaration.onErasure.clear ?? {})),
    ];
    expect(table?.columns.map(({ name }) => name)).toEqual(expect.arrayContaining(named));
    // Rows are read and deleted in this order, so the key must be unique, and an index must have its order.
    const keys = table?.keys.map((columns) => columns.filter((column) => column !== 'tenant_id'));
    expect(keys).toContainEqual(declaration.key);
  });

  /** Bytes that may leave as they are: hashes of what is exported too, and the bytes that the audit trail's hashes cover. */
  const BYTES = [
    'storage_records.blob_sha256',
    'ops.blobs.sha256',
    'audit_logs.canonical',
    'audit_logs.leaf_hash',
  ];
  test('exports no bytes that are neither opened nor decided about, and no hash of a secret', () => {
    const leaving = declared.flatMap(({ table: name, export: exported }) => {
      if ('not' in exported) return [];
      const closed = [...(exported.leaveOut ?? []), ...(exported.sealed ?? []).map(({ column }) => column)];
      const columns = tables.find((table) => table.name === name)?.columns ?? [];
      return columns
        .filter((column) => column.type === 'bytea' || /hash|secret|token|password|prefix/.test(column.name))
        .filter((column) => !closed.includes(column.name))
        .map((column) => `${name}.${column.name}`);
    });
    expect(leaving.filter((column) => !BYTES.includes(column))).toEqual([]);
  });
});
