import { expect, it } from 'vitest';
import { readInPages, type Place } from './read-in-pages.ts';

const ROWS = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ at: '2026-01-01T00:00:00.000001Z', id }));

async function readAll(rows: readonly (typeof ROWS)[number][], size: number) {
  const asked: Place[] = [];
  const pages: string[][] = [];
  const read = (after: Place) => {
    asked.push(after);
    return Promise.resolve(rows.filter(({ id }) => id > after[1]).slice(0, size));
  };
  for await (const page of readInPages({ size, firstId: '', read, placeOf: ({ at, id }) => [at, id] }))
    pages.push(page.map(({ id }) => id));
  return { asked, pages };
}

it('each page begins after the last row of the one before, and rows of one time are told apart by their id', async () => {
  const { asked, pages } = await readAll(ROWS, 2);
  expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  expect(asked).toEqual([['-infinity', ''], ...['b', 'd'].map((id) => [ROWS[0]?.at, id])]);
});

it('a full last page is followed by an empty one, and nothing is one empty page', async () => {
  expect((await readAll(ROWS.slice(0, 4), 2)).pages).toEqual([['a', 'b'], ['c', 'd'], []]);
  expect((await readAll([], 2)).pages).toEqual([[]]);
});
