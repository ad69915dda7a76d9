import { expect, test } from 'vitest';
import { readLabels } from './migration-labels.ts';
import { compareReleases } from './releases.ts';
import { splitStatements } from './split-statements.ts';

test('a migration’s labels are read from its comments', () => {
  expect(readLabels('0001_one', '-- phase: expand\nselect 1;')).toEqual({
    phase: 'expand',
    afterRelease: undefined,
    outsideTransaction: false,
  });
  expect(
    readLabels('0001_one', '-- phase: contract\n-- after-release: 1.10.0\n-- no-transaction\nselect 1;'),
  ).toEqual({ phase: 'contract', afterRelease: '1.10.0', outsideTransaction: true });
  expect(readLabels('0001_one', 'select 1;').phase).toBeUndefined();
});

test.each([
  ['-- phase: extend', 'the phase is "extend"'],
  ['-- phase:', 'the phase is ""'],
  ['-- phase: expand\n-- phase: migrate', 'has the label "phase" twice'],
  ['-- phase: contract', 'belongs to "-- phase: contract"'],
  ['-- phase: expand\n-- after-release: 1.2.3', 'belongs to "-- phase: contract"'],
  ['-- after-release: 1.2.3', 'belongs to "-- phase: contract"'],
  ['-- phase: contract\n-- after-release: next', 'the after-release is "next"'],
  ['-- phase: contract\n-- after-release: 1.2', 'the after-release is "1.2"'],
])('wrong labels are refused: %s', (text, reason) => {
  expect(() => readLabels('0001_one', text)).toThrow(`0001_one: ${reason}`.replace('0001_one: belongs', ''));
});

test('releases are compared by number, not as text', () => {
  expect(compareReleases('1.10.0', '1.9.9')).toBeGreaterThan(0);
  expect(compareReleases('0.2.0', '0.2.0')).toBe(0);
  expect(compareReleases('0.2.0', '1.0.0')).toBeLessThan(0);
  expect(() => compareReleases('1.0.0-rc1', '1.0.0')).toThrow('1.0.0-rc1 is not a release');
});

test('statements are split at semicolons, but not at those in text, names, comments and bodies', () => {
  const statements = [
    `-- A comment; with a semicolon.\nselect ';', 'it''s; here', "a;b";`,
    `do $$ begin\n  update one set id = 1;\n  commit;\nend $$;`,
    `create function f() returns text language sql as $body$ select '$$;'; $body$;`,
    `/* ; */ create index concurrently i on one (id)\n  where id > 0;`,
  ];
  expect(splitStatements(`${statements.join('\n\n')}\n-- The end; of the file.\n`)).toEqual(statements);
  expect(splitStatements('select 1')).toEqual(['select 1']);
});
