import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openDatabases } from '../../../tests/harness/databases.ts';
import { openPool } from './pool.ts';
import { recordset } from './recordset.ts';

const databases = await openDatabases();
const pool = openPool({ url: databases.core.app, max: 1, applicationName: 'recordset', prepare: true });
afterAll(() => pool.end());

const ROWS = recordset({
  n: 'int',
  a_text: 'text',
  a_json: 'jsonb',
  json_text: 'json text',
  bytes: 'bytea',
  at: 'timestamptz',
});

/** Texts with characters of an array's syntax, limited to what PostgreSQL can store. */
const text = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('"', '\\', '{', '}', ',', ' ', '\n', "'", '\t', 'é', '😀') }),
    fc.constantFrom('', 'NULL', 'null', '{}', '\\x00', '"', '\\'),
  )
  .map((value) => Buffer.from(value.replaceAll('\0', ''), 'utf8').toString('utf8')); // no half of a surrogate pair
const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value): unknown => JSON.parse(JSON.stringify(value).replaceAll(/\\u(?:0000|d[89a-f]..)/gi, '')))
  // A column of JSON takes a JSON null for SQL's NULL.
  .filter((value) => value !== null);
const row = fc.record({
  a_text: fc.option(text),
  a_json: fc.option(json),
  json_text: fc.option(json.map((value) => JSON.stringify(value))),
  bytes: fc.option(fc.uint8Array({ maxLength: 40 })),
  at: fc.option(fc.date({ min: new Date('1900-01-01'), max: new Date('9989-12-31'), noInvalidDate: true })),
});

test('rows with any content come out of one array per column as they went in', async () => {
  const select = `select r.n, r.a_text, r.a_json, r.json_text, encode(r.bytes, 'hex') as bytes, r.at from ${ROWS.from('r', 1)} order by r.n`;
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), async (given) => {
      const found = await pool.unsafe(select, ROWS.parameters(given.map((one, n) => ({ ...one, n }))));
      expect([...found]).toEqual(
        given.map((one, n) => ({
          n,
          a_text: one.a_text,
          a_json: one.a_json,
          json_text: one.json_text,
          bytes: one.bytes === null ? null : Buffer.from(one.bytes).toString('hex'),
          at: one.at === null ? null : one.at.toISOString(),
        })),
      );
    }),
    { numRuns: 300 },
  );
});

test('rows encoded one by one are the same, and an absent value is null', async () => {
  const rows = [
    { n: 1, a_text: 'a "b"' },
    { n: 2, a_json: { deep: [null, '\\'] } },
  ];
  expect(ROWS.bind(rows.map((one) => ROWS.encode(one)))).toEqual(ROWS.parameters(rows));
  const found = await pool.unsafe(`select r.* from ${ROWS.from('r', 1)}`, ROWS.parameters(rows));
  expect([...found]).toEqual([
    { n: 1, a_text: 'a "b"', a_json: null, json_text: null, bytes: null, at: null },
    { n: 2, a_text: null, a_json: { deep: [null, '\\'] }, json_text: null, bytes: null, at: null },
  ]);
});
