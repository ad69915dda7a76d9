import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { PageRequest, Position } from '../db/keyset.ts';
import type { Call } from '../call/call.ts';
import { canonicalJson } from '../json/canonical-json.ts';
import { Problem } from '../call/problem.ts';
import { Written, type Reply } from '../call/reply.ts';

/** The default number of rows of a page. */
export const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 500;

/** The query parameters of every list. A route adds its filters. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(1).max(LIMIT_MAX))
    .default(LIMIT_DEFAULT)
    .describe(
      'The most rows of a page. A page of large rows has fewer. Continue as long as there is a `Link`.',
    ),
  cursor: z
    .string()
    .max(1000)
    .optional()
    .describe('Where to continue: from the `Link` of the previous page. Opaque.'),
  sort: z.enum(['created_at', '-created_at']).default('-created_at').describe('`-` is newest first.'),
};

const positionSchema = z.tuple([z.iso.datetime({ offset: true }), z.string().min(1).max(100)]);

/** What a cursor's signature covers besides the position, so that it is valid only for its own list. */
export interface CursorScope {
  readonly key: string;
  /** A second key that a cursor may be signed with, while one replaces the other. */
  readonly otherKey?: string | undefined;
  readonly tenantId: string;
  readonly route: string;
  /** The ids of the list's parents, from its path. */
  readonly params: Readonly<Record<string, unknown>>;
  /** The query without `cursor` and `limit`: a cursor is not valid with other filters. */
  readonly query: Readonly<Record<string, unknown>>;
}

function signature(scope: CursorScope, payload: string, key = scope.key): Buffer {
  const { limit: _limit, cursor: _cursor, ...filters } = scope.query;
  return createHmac('sha256', key)
    .update(canonicalJson(['cursor', scope.tenantId, scope.route, scope.params, filters, payload]))
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
  const isSignedWith = (key: string | undefined): boolean =>
    key !== undefined && timingSafeEqual(signature(scope, payload, key), bytes.subarray(0, 16));
  if (bytes.length > 16 && (isSignedWith(scope.key) || isSignedWith(scope.otherKey))) {
    const [at, id] = positionSchema.parse(JSON.parse(payload));
    return { at, id };
  }
  throw new Problem('INVALID_REQUEST', {
    errors: [{ pointer: 'query/cursor', detail: 'is not a cursor of this list with these filters' }],
  });
}

/** A list's parsed query: the paging parameters and the list's filters. */
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

/** How a list is read. */
export interface ListSource<Item> {
  /** Reads items from a position, in the list's order: at most one more than `limit`, and fewer only at the list's end. */
  readonly read: (page: PageRequest) => Promise<readonly Item[]>;
  /** The position of an item in the list. */
  readonly positionOf: (item: Item) => Position;
}

/** The most bytes of a page's items, except for a single larger item. Lower than the limits of gateways. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
/**
 * Rows that are read at once. A row may have 250 KB, so a page of 500 is read in steps: rows that do not fit are mostly not
 * read. The usual page of 50 rows is one step.
 */
const STEP_ROWS = 100;

/** The body of a list's answer; {@link pageOf} is its schema. */
export interface Page<Item> {
  items: Item[];
}

/**
 * A page's answer: `{items}`, and `Link: <…>; rel="next"` except on the last page. A page ends at its limit or when it gets
 * too large. The next one continues after its last item, so no item is lost.
 */
export async function pageReply<Item>(
  scope: CursorScope,
  url: string,
  page: PageRequest,
  source: ListSource<Item>,
): Promise<Reply<200, Page<Item>>> {
  const { texts, next } = await fillPage(page, source);
  const headers = next === undefined ? {} : { link: nextLink(url, encodeCursor(scope, next), page.limit) };
  // The items' texts were already made, to measure them.
  return { status: 200, body: new Written(`{"items":[${texts.join(',')}]}`), headers };
}

function nextLink(url: string, cursor: string, limit: number): string {
  const [path = '', search] = url.split('?', 2);
  const query = new URLSearchParams(search);
  query.set('cursor', cursor);
  query.set('limit', String(limit));
  return `<${path}?${query.toString()}>; rel="next"`;
}

interface FilledPage {
  /** The items as JSON. */
  readonly texts: readonly string[];
  /** The last item's position, if more items follow. */
  readonly next: Position | undefined;
}

async function fillPage<Item>(
  page: PageRequest,
  { read, positionOf }: ListSource<Item>,
): Promise<FilledPage> {
  const texts: string[] = [];
  let bytes = 0;
  let next = page.after;
  for (;;) {
    const limit = Math.min(STEP_ROWS, page.limit - texts.length);
    const items = await read({ ...page, limit, after: next });
    for (const item of items) {
      const text = JSON.stringify(item);
      bytes += Buffer.byteLength(text);
      if (texts.length === page.limit || (bytes > PAGE_BYTES_MAX && texts.length > 0)) return { texts, next };
      texts.push(text);
      next = positionOf(item);
    }
    if (items.length <= limit) return { texts, next: undefined };
  }
}

/** The schema of a list's answer. */
export function pageOf<Item extends z.ZodType>(item: Item): z.ZodObject<{ items: z.ZodArray<Item> }> {
  return z.object({ items: z.array(item) });
}

/** The scope of a call's cursors. */
export function cursorScope(call: Call, query: Readonly<Record<string, unknown>>): CursorScope {
  return {
    key: call.services.settings.API_KEY_PEPPER,
    otherKey: call.services.settings.API_KEY_PEPPER_PREVIOUS,
    tenantId: call.tenant.tenantId,
    route: call.route,
    params: call.params,
    query,
  };
}
