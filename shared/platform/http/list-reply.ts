import { readKeyset, type KeysetList, type Position } from '../db/keyset.ts';
import type { StatementOptions } from '../db/tenant-database.ts';
import type { Call } from '../call/call.ts';
import { cursorScope, pageReply, readPage, type Page, type PagedQuery } from './pagination.ts';
import type { Reply } from '../call/reply.ts';

type Columns = Record<string, unknown>;

/**
 * Answers with a page of a tenant's list, for lists that show their rows unchanged. The list's own columns give a row's
 * position.
 * @throws Problem 400 for a cursor of another list.
 */
export async function listReply<Row extends Columns>(
  call: Call,
  query: PagedQuery,
  url: string,
  list: KeysetList,
  options: StatementOptions = {},
): Promise<Reply<200, Page<Row>>> {
  const scope = cursorScope(call, query);
  return pageReply<Row>(scope, url, readPage(scope, query), {
    read: (step) => readKeyset(call.tenant, list, step, options),
    positionOf: positionIn(list),
  });
}

/** The position of a row in its list. */
export function positionIn(
  list: Pick<KeysetList, 'timeColumn' | 'idColumn'>,
): (row: Readonly<Columns>) => Position {
  return (row) => ({ at: String(row[list.timeColumn]), id: String(row[list.idColumn]) });
}
