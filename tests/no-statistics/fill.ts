import { expect } from 'vitest';
import type { TestApp } from '../harness/app.ts';
import type { Measured } from '../harness/measured-database.ts';
import { BATCH, FILLED, ids, now, ROWS, sources, type Filled } from './tables.ts';

// A table that is filled since this morning has no statistics: the planner then guesses, and a batch that joins with it may read
// all of it. The tests beside this file fill every such table with 100,000 rows, without statistics, and count what each
// statement of each batch reads: where a few rows concern it, and, where it chooses its rows, where all of them do.
//
// Not measured: `countRows` (a count by design, of partitions up to 64 MB), the catalogue, and tables that do not grow with
// traffic (tenants, keys, settings, policies, holds, plans, subscriptions, watermarks).

/**
 * Every table has more pages. A bound of pages lies below, so that no scan keeps it; where a batch's own rows need more, the
 * bound of rows says that there was none.
 */
const PAGES_OF_A_TABLE = 4_800;

type Admin = TestApp['admin'];

/** Fills tables, and makes sure that they are what the tests need: large, and without statistics. */
export async function fill(admin: Admin, names: readonly (keyof typeof FILLED)[]): Promise<void> {
  await admin.core`insert into tenants (tenant_id, name) values ('initech', 'Initech')`;
  for (const name of names) await fillOne(admin, FILLED[name]);
}

async function fillOne(admin: Admin, filled: Filled): Promise<void> {
  const { database, table, partition = table, columns, fillfactor = 25 } = filled;
  const sql = admin[database];
  await sql.unsafe(`alter table ${partition} set (autovacuum_enabled = off, fillfactor = ${fillfactor})`);
  await sql.unsafe(
    `insert into ${table} (${Object.keys(columns).join(', ')})
     select ${Object.values(columns).join(', ')}
       from (select ${ROWS} as rows, ${BATCH} as batch, $1::timestamptz as at, $2::uuid[] as ids, $3::uuid[] as sources) g,
            generate_series(1, ${ROWS}) n`,
    [now, ids, sources],
  );
  const [row] = await sql.unsafe(
    `select (select count(*)::int from pg_statistic where starelid = c.oid) as statistics, reltuples::int as reltuples,
            (pg_relation_size(oid) / 8192)::int as pages from pg_class c where oid = $1::regclass`,
    [partition],
  );
  expect([table, row?.['statistics'], row?.['reltuples']]).toEqual([table, 0, -1]);
  expect(row?.['pages'], table).toBeGreaterThan(PAGES_OF_A_TABLE);
}

/** Pages that a record costs which may lie in any partition, with what else is done about it. */
export async function pagesOfAnywhere(core: Admin['core']): Promise<number> {
  const [row] = await core<{ partitions: number }[]>`
    select count(*)::int as partitions from pg_inherits where inhparent = 'storage_records'::regclass`;
  return 25 + 3 * (row?.partitions ?? 0);
}

/** What a case's statements may read, of what they read when the case was written. */
const SLACK = 3;

/**
 * Holds what each statement of a batch may read. `rows` are the batch's; `pages` is what each of them costs, as measured when
 * the case was written, in the statement that reads the most.
 */
export function expectReads(
  measured: readonly Measured[],
  { rows, pages }: { readonly rows: number; readonly pages: number },
): void {
  expect(measured.length).toBeGreaterThan(0);
  const most = { rows: SLACK * rows, pages: SLACK * rows * pages };
  expect(most.rows).toBeLessThan(ROWS / 5);
  if (rows <= BATCH) expect(most.pages).toBeLessThan(PAGES_OF_A_TABLE);
  const greedy = measured.filter((statement) => statement.pages > most.pages || statement.rows > most.rows);
  expect(greedy).toEqual([]);
}
