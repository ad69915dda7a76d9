import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp } from './harness/app.ts';

const app = await startTestApp();
const key = app.keys.acme.reader;
const FIRST_MICROSECOND = Date.parse('2026-06-01T00:00:00Z') * 1000;

/** Microseconds after a day's beginning. The range is small, so that many rows have the same instant. */
const instants = fc.integer({ min: 0, max: 12 });

/** Adds rows with these instants to a set. Returns their ids. */
async function addRows(set: string, at: readonly number[]): Promise<string[]> {
  if (at.length === 0) return [];
  const rows = at.map((micros) => ({ id: newId(), at: String(FIRST_MICROSECOND + micros) }));
  await app.admin.core`insert into detector_configs
      (tenant_id, id, detector_name, detector_set, detector_type, detector_version, created_at)
    select 'acme', r.id, r.id::text, ${set}, 'pii', '1', 'epoch'::timestamptz + r.at::bigint * interval '1 microsecond'
      from jsonb_to_recordset(${app.admin.core.json(rows)}) as r (id uuid, at text)`;
  return rows.map(({ id }) => id);
}

interface Walk {
  readonly rows: readonly number[];
  readonly limits: readonly number[];
  readonly sort: string;
  /** Rows added after each page: before, among and after the rows seen so far. */
  readonly added: readonly (readonly number[])[];
}

const walks: fc.Arbitrary<Walk> = fc.record({
  rows: fc.array(instants, { maxLength: 25 }),
  limits: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
  sort: fc.constantFrom('created_at', '-created_at'),
  added: fc.array(fc.array(instants, { maxLength: 2 }), { maxLength: 4 }),
});

describe('a list that is read page by page', () => {
  it(
    'shows each existing row exactly once and no row twice, with any page size and any rows added meanwhile',
    { timeout: 120_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(walks, async ({ rows, limits, sort, added }) => {
          const set = newId();
          const there = await addRows(set, rows);
          const later = new Set<string>();
          const seen: string[] = [];
          let next: string | undefined = `/api/v1/detector-configs?detector_set=${set}&sort=${sort}`;
          for (let page = 0; next !== undefined; page++) {
            if (page > 100) throw new Error('the list does not end');
            const url: URL = new URL(next, app.baseUrl);
            url.searchParams.set('limit', String(limits[page % limits.length]));
            const answer = await app.request('GET', url.href, { key });
            expect(answer.status).toBe(200);
            seen.push(...answer.body.items.map(({ id }: { id: string }) => id));
            for (const id of await addRows(set, added[page] ?? [])) later.add(id);
            next = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
          }
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.filter((id) => !later.has(id)).sort()).toEqual([...there].sort());
        }),
        { numRuns: 40 },
      );
    },
  );

  it('shows them in the order of their instants, to the microsecond, in both directions', async () => {
    const set = newId();
    const ids = await addRows(set, [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]);
    const read = async (sort: string): Promise<{ id: string; created_at: string }[]> => {
      const path = `/api/v1/detector-configs?detector_set=${set}&sort=${sort}`;
      return (await app.request('GET', path, { key })).body.items;
    };
    const [up, down] = [await read('created_at'), await read('-created_at')];
    expect(up.map(({ id }) => id).sort()).toEqual([...ids].sort());
    expect(down.toReversed()).toEqual(up);
    const times = up.map(({ created_at: at }) => at.padEnd(27, '0'));
    expect(times).toEqual(times.toSorted());
    expect(new Set(times.map((at) => at.slice(-5))).size).toBeGreaterThan(3);
  });
});
