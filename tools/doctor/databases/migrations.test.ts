import { expect, test } from 'vitest';
import type { MigrationFile } from '../../migrate/migration-files.ts';
import type { AppliedMigration } from '../../migrate/migration-state.ts';
import { judgeMigrations } from './migrations.ts';

const file = (name: string, phase: 'expand' | 'contract', afterRelease?: string): MigrationFile => ({
  name,
  text: '',
  sha256: name,
  phase,
  afterRelease,
  outsideTransaction: false,
});
const applied = ({ name, sha256, phase }: MigrationFile): AppliedMigration => ({
  name,
  sha256,
  phase: phase ?? null,
  afterRelease: null,
});

const FIRST = file('0001_first', 'expand');
const REMOVES = file('0002_removes', 'contract', '0.1.0');
const LAST = file('0003_last', 'expand');

test('what only an older build needs waits for the end of the rollout, and is no problem', () => {
  expect(judgeMigrations('core', [FIRST, REMOVES], [applied(FIRST)])).toEqual({
    result: 'warning',
    detail: '0002_removes: left until no older build runs',
    do: 'after the rollout: npm run migrate -- --contract, see docs/runbooks/upgrade.md',
  });
});

test('what waits behind that is one', () => {
  expect(judgeMigrations('core', [FIRST, REMOVES, LAST], [applied(FIRST)])).toMatchObject({
    result: 'problem',
    detail: expect.stringContaining('comes before 0003_last'),
    do: expect.stringContaining('docs/runbooks/upgrade.md'),
  });
});

test('what any build needs is one', () => {
  expect(judgeMigrations('core', [FIRST, REMOVES], [])).toEqual({
    result: 'problem',
    detail: '1 migration not applied: 0001_first',
    do: 'npm run migrate',
  });
});
