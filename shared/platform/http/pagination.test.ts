import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor, pageReply, type CursorScope } from './pagination.ts';
import { Problem } from '../call/problem.ts';
import { textOf } from '../call/reply.ts';

const scope: CursorScope = {
  key: 'a key of the service',
  tenantId: 'acme',
  route: 'things-list',
  params: { box_id: 'a' },
  query: { limit: 50, sort: '-created_at', detector: 'x' },
};

const positions = fc.record({
  at: fc
    .tuple(
      fc.date({ min: new Date('1970-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }),
      fc.nat({ max: 999 }),
    )
    .map(([date, micros]) => date.toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`)),
  id: fc.oneof(
    fc.uuid(),
    fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme' }).filter((id) => id.length <= 100),
  ),
});

describe('a cursor', () => {
  test('leads back to its position, to the microsecond', () => {
    fc.assert(
      fc.property(positions, (position) => {
        expect(decodeCursor(scope, encodeCursor(scope, position))).toEqual(position);
      }),
    );
  });

  test('continues with another page size, and ignores the cursor that it replaces', () => {
    fc.assert(
      fc.property(positions, fc.nat(), fc.string(), (position, limit, cursor) => {
        const later = { ...scope, query: { ...scope.query, limit, cursor } };
        expect(decodeCursor(later, encodeCursor(scope, position))).toEqual(position);
      }),
    );
  });

  test('is refused after any bit of it was changed, or after it was cut or extended', () => {
    fc.assert(
      fc.property(positions, fc.nat(), (position, at) => {
        const bytes = Buffer.from(encodeCursor(scope, position), 'base64url');
        const bit = at % (bytes.length * 8);
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        for (const forged of [
          changed,
          bytes.subarray(0, at % bytes.length),
          Buffer.concat([bytes, Buffer.of(0)]),
        ])
          expect(() => decodeCursor(scope, forged.toString('base64url'))).toThrow(Problem);
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, Partial<CursorScope>]>([
    ['another tenant', { tenantId: 'globex' }],
    ['another route', { route: 'others-list' }],
    ['another parent', { params: { box_id: 'b' } }],
    ['no parent', { params: {} }],
    ['another filter', { query: { ...scope.query, detector: 'y' } }],
    ['one filter less', { query: { limit: 50, sort: '-created_at' } }],
    ['another order', { query: { ...scope.query, sort: 'created_at' } }],
    ['another key', { key: 'another key' }],
  ])('is refused by %s', (_what, change) => {
    const cursor = encodeCursor(scope, { at: '2026-01-01T00:00:00.000001Z', id: 'x' });
    expect(() => decodeCursor({ ...scope, ...change }, cursor)).toThrow(Problem);
  });

  test('with any other content is refused', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeCursor(scope, text)).toThrow(Problem);
      }),
    );
  });
});

interface Row {
  readonly id: string;
  readonly text: string;
}

const URL_OF_LIST = 'https://api.example.com/api/v1/things?detector=x&limit=7&cursor=old';
const AT = '2026-01-01T00:00:00.000000Z';

/** A list like in the database: from a position on, with one row more than the limit. */
const sourceOf = (rows: readonly Row[], limits: number[] = []) => ({
  read: (page: { limit: number; after: { id: string } | undefined }) => {
    limits.push(page.limit);
    const from = rows.findIndex(({ id }) => id === page.after?.id) + 1;
    return Promise.resolve(rows.slice(from, from + page.limit + 1));
  },
  positionOf: ({ id }: Row) => ({ at: AT, id }),
});

/** All pages of a list, read by its links. */
async function readAll(rows: readonly Row[], limit: number): Promise<Row[][]> {
  const pages: Row[][] = [];
  let after: { at: string; id: string } | undefined;
  do {
    const page = { limit, descending: true, after };
    const reply = await pageReply(scope, URL_OF_LIST, page, sourceOf(rows));
    const body: { items: Row[] } = JSON.parse(textOf(reply) ?? '');
    pages.push(body.items);
    const next = /^<([^>]+)>; rel="next"$/.exec(reply.headers?.['link'] ?? '')?.[1];
    const query = next === undefined ? undefined : new URL(next).searchParams;
    if (query) expect([query.get('limit'), query.get('detector')]).toEqual([String(limit), 'x']);
    after = query ? decodeCursor(scope, query.get('cursor') ?? '') : undefined;
  } while (after !== undefined);
  return pages;
}

const rowsOf = (count: number, size: number): Row[] =>
  Array.from({ length: count }, (_, n) => ({ id: `row-${n}`, text: 'x'.repeat(size) }));

test('pages have as many rows as requested, and the last one has no next', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 250 }), fc.nat({ max: 600 }), async (limit, have) => {
      const rows = rowsOf(have, 1);
      const pages = await readAll(rows, limit);
      expect(pages.flat()).toEqual(rows);
      expect(pages.slice(0, -1).every(({ length }) => length === limit)).toBe(true);
      expect(pages).toHaveLength(Math.max(1, Math.ceil(have / limit)));
    }),
  );
});

test('a page of large rows ends at 4 MiB, the next one continues there, and no row is lost', async () => {
  const rows = rowsOf(60, 250_000);
  const pages = await readAll(rows, 500);
  expect(pages.flat()).toEqual(rows);
  expect(pages.every((page) => JSON.stringify(page).length <= 4 * 1024 * 1024 + 1_000)).toBe(true);
  expect(pages.length).toBeLessThan(6);
  const one = await readAll(rowsOf(3, 5_000_000), 500);
  expect(one.map(({ length }) => length)).toEqual([1, 1, 1]);
});

test('a page of the usual size is read at once, and a long one in steps, so that rows that do not fit are not read', async () => {
  const page = { limit: 50, descending: true, after: undefined };
  const limits: number[] = [];
  await pageReply(scope, URL_OF_LIST, page, sourceOf(rowsOf(500, 1), limits));
  expect(limits).toEqual([50]);
  limits.length = 0;
  await pageReply(scope, URL_OF_LIST, { ...page, limit: 500 }, sourceOf(rowsOf(600, 250_000), limits));
  expect(limits).toEqual([100]);
});

test('without a known address the link is a reference without a host', async () => {
  const page = { limit: 1, descending: true, after: undefined };
  const reply = await pageReply(scope, '/api/v1/things?limit=1', page, sourceOf(rowsOf(2, 1)));
  expect(reply.headers?.['link']).toMatch(/^<\/api\/v1\/things\?limit=1&cursor=[\w-]+>; rel="next"$/);
});
