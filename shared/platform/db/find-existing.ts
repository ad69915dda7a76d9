import { recordset } from './recordset.ts';
import type { CrossTenantDatabase } from './tenant-database.ts';

/** Identifies a request across tenants. */
export interface RequestRef {
  readonly tenant_id: string;
  readonly request_id: string;
}

/** Finds which of the given requests exist. Returns their {@link refKey}s. */
export type FindExisting = (
  database: CrossTenantDatabase,
  refs: readonly RequestRef[],
) => Promise<ReadonlySet<string>>;

const REFS = recordset({ tenant_id: 'text', request_id: 'uuid' });

/** A reference as one text. */
export function refKey({ tenant_id, request_id }: RequestRef): string {
  return `${tenant_id} ${request_id}`;
}

/**
 * Finds which of the given requests a table has. The table's primary key is (`tenant_id`, `request_id`). Each reference is
 * one look-up in that index, also where the table has no statistics.
 */
export function findExistingIn(table: string): FindExisting {
  return async (database, refs) => {
    if (refs.length === 0) return new Set();
    const found = await database.query<{ tenant_id: string; request_id: string }>(
      `select a.tenant_id, a.request_id from ${REFS.from('a', 1)}, lateral (
         select from ${table} t where t.tenant_id = a.tenant_id and t.request_id = a.request_id limit 1) t`,
      REFS.parameters(refs),
    );
    return new Set(found.map(refKey));
  };
}
