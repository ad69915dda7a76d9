import { readKeyset, type KeysetList, type Position } from '../db/keyset.ts';
import type { StatementOptions, TenantDatabase } from '../db/tenant-database.ts';
import type { Call } from '../call/call.ts';
import { cursorScope, pageReply, readPage, type PagedQuery } from './pagination.ts';
import type { Reply } from '../call/reply.ts';

/** How rows are read and shown. */
export interface ListOptions<Row> {
  /** What of a row is shown; all of it unless said otherwise. */
  readonly present?: (row: Row) => unknown;
  readonly statement?: StatementOptions;
  /** Where the table is; core unless said otherwise. */
  readonly database?: TenantDatabase;
}

/**
 * A page of a tenant's list as an answer: what most lists are. Rows name their position by the list's own columns.
 * @throws Problem 400 for a cursor of another list.
 */
export async function listReply<Row extends Record<string, unknown>>(
  call: Call,
  query: PagedQuery,
  url: string,
  list: KeysetList,
  options: ListOptions<Row> = {},
): Promise<Reply> {
  const scope = cursorScope(call, query);
  const page = readPage(scope, query);
  return pageReply(scope, url, page, {
    read: (step) => readKeyset<Row>(options.database ?? call.tenant, list, step, options.statement),
    positionOf: positionIn(list),
    ...(options.present === undefined ? {} : { present: options.present }),
  });
}

/** Where a row of a list stands in it. */
export function positionIn(
  list: Pick<KeysetList, 'timeColumn' | 'idColumn'>,
): (row: Readonly<Record<string, unknown>>) => Position {
  return (row) => ({ at: String(row[list.timeColumn]), id: String(row[list.idColumn]) });
}
