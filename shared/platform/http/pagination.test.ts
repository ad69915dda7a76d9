import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor, pageReply, type CursorScope } from './pagination.ts';
import { Problem } from '../call/problem.ts';

const scope: CursorScope = {
  key: 'a key of the service',
  tenantId: 'acme',
  route: 'things-list',
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

  test('goes on with another page size, and ignores the cursor that it replaces', () => {
    fc.assert(
      fc.property(positions, fc.nat(), fc.string(), (position, limit, cursor) => {
        const later = { ...scope, query: { ...scope.query, limit, cursor } };
        expect(decodeCursor(later, encodeCursor(scope, position))).toEqual(position);
      }),
    );
  });

  test('is refused once any bit of it was changed, or it was cut or lengthened', () => {
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
    ['another filter', { query: { ...scope.query, detector: 'y' } }],
    ['one filter less', { query: { limit: 50, sort: '-created_at' } }],
    ['another order', { query: { ...scope.query, sort: 'created_at' } }],
    ['another key', { key: 'another key' }],
  ])('is refused by %s', (_what, change) => {
    const cursor = encodeCursor(scope, { at: '2026-01-01T00:00:00.000001Z', id: 'x' });
    expect(() => decodeCursor({ ...scope, ...change }, cursor)).toThrow(Problem);
  });

  test('that is no cursor at all is refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeCursor(scope, text)).toThrow(Problem);
      }),
    );
  });
});

test('a page shows as many rows as asked for, and a next one exactly when there are more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.nat({ max: 21 }), (limit, have) => {
      const rows = Array.from({ length: Math.min(have, limit + 1) }, (_, n) => ({ id: `row-${n}` }));
      const page = { limit, descending: true, after: undefined };
      const url = 'https://api.example.com/api/v1/things?detector=x&limit=7&cursor=old';
      const reply = pageReply(
        scope,
        url,
        page,
        rows,
        ({ id }) => ({ at: '2026-01-01T00:00:00.000000Z', id }),
        (row) => row,
      );
      expect(reply.body).toEqual({ items: rows.slice(0, limit) });
      const next = /^<([^>]+)>; rel="next"$/.exec(reply.headers?.['link'] ?? '')?.[1];
      expect(next !== undefined).toBe(have > limit);
      if (next === undefined) return;
      const query = new URL(next).searchParams;
      expect([query.get('limit'), query.get('detector')]).toEqual([String(limit), 'x']);
      expect(decodeCursor(scope, query.get('cursor') ?? '').id).toBe(`row-${limit - 1}`);
    }),
  );
});
