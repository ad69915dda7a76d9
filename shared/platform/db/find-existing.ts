import { recordset } from './recordset.ts';
import type { CrossTenantDatabase } from './tenant-database.ts';

/** What a request is known by across tenants. */
export interface RequestRef {
  readonly tenant_id: string;
  readonly request_id: string;
}

/** Which of some requests exist. Answers {@link refKey}s. */
export type FindExisting = (
  database: CrossTenantDatabase,
  refs: readonly RequestRef[],
) => Promise<ReadonlySet<string>>;

const REFS = recordset({ tenant_id: 'text', request_id: 'uuid' });

/** One text for a reference. */
export function refKey({ tenant_id, request_id }: RequestRef): string {
  return `${tenant_id} ${request_id}`;
}

/**
 * Which of some requests a table has. The table's primary key is (`tenant_id`, `request_id`): each reference is one look
 * into that index, whatever the planner knows of the table.
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
