import postgres from 'postgres';
import { afterAll, expect, it } from 'vitest';
import type {
  CrossTenantDatabase,
  CrossTenantTransaction,
} from '../../shared/platform/db/tenant-database.ts';
import { openDatabases } from './databases.ts';
import { measuring } from './measured-database.ts';

// What the tests of tests/no-statistics rely on: nothing that a statement reads escapes the count.

const databases = await openDatabases();
const sql = postgres(databases.core.admin, { max: 1, onnotice: () => undefined });
afterAll(() => sql.end());

await sql.unsafe(`
  create table things (id int primary key, of int);
  create table parts (thing int references things (id) on delete cascade);
  insert into things select n, n % 10 from generate_series(1, 1000) n;
  insert into parts select n from generate_series(1, 1000) n;
  create function count_things() returns bigint language plpgsql as 'begin return (select count(*) from things); end'`);

const plain = {
  transaction: <T>(work: (transaction: CrossTenantTransaction) => Promise<T>) =>
    sql.begin((transaction) =>
      work({
        query: (text: string, parameters: readonly string[] = [], { prepare = true } = {}) =>
          transaction.unsafe(text, [...parameters], { prepare }),
      } as unknown as CrossTenantTransaction),
    ),
} as unknown as CrossTenantDatabase;

async function rowsRead(text: string, parameters: readonly string[] = [], prepare = false) {
  const { database, measured } = measuring(plain);
  await database.query(text, parameters, { prepare });
  return measured.map(({ where, rows }) => [where, rows]);
}

it('counts what a statement looks at and throws away', async () => {
  expect(await rowsRead('select from things where of = 3')).toEqual([['things', 1000]]);
  expect(await rowsRead('select from things where id = 3 and of = 4')).toEqual([['things_pkey', 1]]);
});

it('counts what a function reads', async () => {
  expect(await rowsRead('select count_things()')).toEqual([['things', 1000]]);
});

it('counts what a foreign key’s trigger reads, which has no index', async () => {
  expect(await rowsRead('delete from things where id = 3')).toEqual([['parts', 1000]]);
});

it('runs a prepared statement with its values and, for good, with the plan for all values', async () => {
  // One row has this value, all others the other one: the plan for both reads all of them.
  await sql.unsafe(`
    update things set of = case id when 7 then 1 else 0 end;
    create index things_of on things (of)`);
  await sql.unsafe('vacuum analyze things');
  expect(await rowsRead('update things set id = id where of = $1::int', ['1'], true)).toEqual([
    ['things_of', 1],
    ['things', 999],
  ]);
});

it('counts what is read of a table that the statement drops', async () => {
  await sql.unsafe(`
    create function drop_parts() returns bigint language plpgsql as
      'declare n bigint := (select count(*) from parts); begin drop table parts; return n; end'`);
  expect(await rowsRead('select drop_parts()')).toEqual([['parts', 999]]);
});
