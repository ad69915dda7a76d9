import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { PageRequest, Position } from '../db/keyset.ts';
import type { Call } from '../call/call.ts';
import { Problem } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 500;

/** The query parameters of every list; a route adds its filters. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(1).max(LIMIT_MAX))
    .default(LIMIT_DEFAULT)
    .describe('Rows a page.'),
  cursor: z
    .string()
    .max(1000)
    .optional()
    .describe('Where to go on: from the `Link` of the page before. Opaque.'),
  sort: z.enum(['created_at', '-created_at']).default('-created_at').describe('`-` is newest first.'),
};

const positionSchema = z.tuple([z.iso.datetime({ offset: true }), z.string().min(1).max(100)]);

/** What a cursor is signed over beside the position: it goes on the list that it came from, and no other. */
export interface CursorScope {
  readonly key: string;
  readonly tenantId: string;
  readonly route: string;
  /** The query, without `cursor` and `limit`: a cursor does not move to other filters. */
  readonly query: Readonly<Record<string, unknown>>;
}

function signature(scope: CursorScope, payload: string): Buffer {
  const { limit: _limit, cursor: _cursor, ...filters } = scope.query;
  const filterText = JSON.stringify(
    Object.entries(filters).sort(([left], [right]) => left.localeCompare(right)),
  );
  return createHmac('sha256', scope.key)
    .update(JSON.stringify(['cursor', scope.tenantId, scope.route, filterText, payload]))
    .digest()
    .subarray(0, 16);
}

/** Makes an opaque, signed cursor. */
export function encodeCursor(scope: CursorScope, position: Position): string {
  const payload = JSON.stringify([position.at, position.id]);
  return Buffer.concat([signature(scope, payload), Buffer.from(payload)]).toString('base64url');
}

/**
 * Reads a cursor.
 * @throws Problem 400 if it was changed, or made for another list, tenant or filter.
 */
export function decodeCursor(scope: CursorScope, cursor: string): Position {
  const bytes = Buffer.from(cursor, 'base64url');
  const payload = bytes.subarray(16).toString('utf8');
  const expected = signature(scope, payload);
  if (bytes.length > 16 && timingSafeEqual(expected, bytes.subarray(0, 16))) {
    const [at, id] = positionSchema.parse(JSON.parse(payload));
    return { at, id };
  }
  throw new Problem('INVALID_REQUEST', {
    errors: [{ pointer: 'query/cursor', detail: 'is not a cursor of this list with these filters' }],
  });
}

/** A list's parsed query: the paging part, and whatever filters it has. */
export interface PagedQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly sort: string;
  readonly [filter: string]: unknown;
}

/** Reads the paging part of a parsed query. */
export function readPage(scope: CursorScope, query: PagedQuery): PageRequest {
  return {
    limit: query.limit,
    descending: query.sort.startsWith('-'),
    after: query.cursor === undefined ? undefined : decodeCursor(scope, query.cursor),
  };
}

/** A page's answer: `{items}`, and `Link: <…>; rel="next"` unless it is the last. `rows` may hold one more than `limit`. */
export function pageReply<Row>(
  scope: CursorScope,
  url: string,
  page: PageRequest,
  rows: readonly Row[],
  positionOf: (row: Row) => Position,
  present: (row: Row) => unknown = (row) => row,
): Reply {
  const items = rows.slice(0, page.limit);
  const last = items.at(-1);
  const body = { items: items.map(present) };
  if (rows.length <= page.limit || last === undefined) return { status: 200, body };
  const next = new URL(url);
  next.searchParams.set('cursor', encodeCursor(scope, positionOf(last)));
  next.searchParams.set('limit', String(page.limit));
  return { status: 200, body, headers: { link: `<${next.href}>; rel="next"` } };
}

/** The schema of a list's answer. */
export function pageOf<Item extends z.ZodType>(item: Item): z.ZodObject<{ items: z.ZodArray<Item> }> {
  return z.object({ items: z.array(item) });
}

/** The scope of a call's cursors. */
export function cursorScope(call: Call, query: Readonly<Record<string, unknown>>): CursorScope {
  return {
    key: call.services.settings.API_KEY_PEPPER,
    tenantId: call.principal.tenantId,
    route: call.route,
    query,
  };
}
