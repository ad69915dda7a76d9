import { expect, it } from 'vitest';
import { findFolderCycles } from './folder-cycles.ts';

/** `a/x > b/y` is an import from a/x.ts to b/y.ts. */
const find = (...lines: string[]): [folder: string, imports: string[]][] =>
  findFolderCycles(
    lines.map((line) => {
      const [from = '', to = ''] = line.split(' > ').map((file) => `${file}.ts`);
      return { from, to };
    }),
  ).map(({ folder, imports }) => [
    folder,
    imports.map(({ from, to }) => `${from} > ${to}`.replaceAll('.ts', '')),
  ]);

it('folders that import each other are reported, though none of their files do', () => {
  expect(find('a/one > b/one', 'b/two > a/two')).toEqual([['', ['a/one > b/one', 'b/two > a/two']]]);
});

it('folders that import each other through their subfolders are reported', () => {
  expect(find('p/a/deep/one > p/b/one', 'p/b/deep/two > p/a/two')).toEqual([
    ['p', ['p/a/deep/one > p/b/one', 'p/b/deep/two > p/a/two']],
  ]);
});

it('the shortest of several cycles is reported, and each part of a cycle is reported', () => {
  expect(find('a/1 > b/1', 'b/1 > c/1', 'c/1 > a/1', 'b/2 > a/2')).toEqual([
    ['', ['a/1 > b/1', 'b/2 > a/2']],
    ['', ['c/1 > a/1', 'a/1 > b/1', 'b/1 > c/1']],
  ]);
});

it('a folder and a file beside it may not import each other', () => {
  expect(find('p/main > p/a/one', 'p/a/two > p/main')).toEqual([
    ['p', ['p/a/two > p/main', 'p/main > p/a/one']],
  ]);
});

it('imports in one direction are no cycle, also when another folder is between two files of a folder', () => {
  expect(find('p/main > p/a/one', 'p/a/one > p/log', 'p/a/one > q/one', 'q/one > q/two')).toEqual([]);
});

it('files that import each other are left to the rule for files', () => {
  expect(find('p/one > p/two', 'p/two > p/one')).toEqual([]);
});
