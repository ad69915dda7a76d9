import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** A table as the database has it, with what a search of it needs. */
export interface SearchedTable {
  readonly [column: string]: unknown;
  /** With its schema, unless that is `public`. */
  readonly name: string;
  readonly has_tenant: boolean;
  readonly can_read: boolean;
  /** Whether any role of the app may write it. Without that it is the migrator's, and has no tenant's rows. */
  readonly can_write: boolean;
  /** Columns of text, JSON, bytes and ids. */
  readonly columns: readonly { readonly name: string; readonly is_bytes: boolean; readonly is_id: boolean }[];
  /** The columns of its primary key, with their types. */
  readonly key: readonly { readonly name: string; readonly type: string }[];
}

/** Every table of the app in a database, declared or not. */
export function listTables(database: CrossTenantDatabase): Promise<SearchedTable[]> {
  return database.query<SearchedTable>(
    `select case when n.nspname = 'public' then c.relname else format('%s.%s', n.nspname, c.relname) end as name,
            has_table_privilege(c.oid, 'select') as can_read,
            has_table_privilege('comply_app', c.oid, 'insert, update') or has_table_privilege(c.oid, 'insert, update')
              as can_write,
            exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
              as has_tenant,
            coalesce((select json_agg(json_build_object('name', a.attname, 'is_bytes', a.atttypid = 'bytea'::regtype,
                                                       'is_id', a.atttypid = 'uuid'::regtype) order by a.attnum)
                        from pg_attribute a
                       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                         and a.atttypid in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'json'::regtype,
                                            'jsonb'::regtype, 'bytea'::regtype, 'text[]'::regtype, 'uuid'::regtype)), '[]') as columns,
            coalesce((select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by k.place)
                        from pg_index i cross join unnest(i.indkey::int2[]) with ordinality k (number, place)
                        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                       where i.indrelid = c.oid and i.indisprimary), '[]') as key
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'ops') and c.relkind in ('r', 'p') and not c.relispartition
      order by 1`,
    [],
    { prepare: false },
  );
}
