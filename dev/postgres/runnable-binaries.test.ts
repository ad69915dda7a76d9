import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { chooseAccount } from './account.ts';
import { findPostgresBinaries, listBinaries, type InstalledPostgres } from './binaries.ts';
import { runOnce } from './run-once.ts';
import { copyBinaries, findRunnableBinaries } from './runnable-binaries.ts';

// mkdtemp makes folders that only their owner may enter.
const closed = mkdtempSync(path.join(tmpdir(), 'comply-closed-'));
const base = mkdtempSync(path.join(tmpdir(), 'comply-copies-'));
afterAll(() => {
  for (const folder of [closed, base]) rmSync(folder, { recursive: true, force: true });
});

const original = findPostgresBinaries();
const folder = path.join(closed, 'native');
cpSync(original.folder, folder, { recursive: true, verbatimSymlinks: true });
const installed: InstalledPostgres = { ...original, folder, binaries: listBinaries(folder) };

const listFiles = (root: string): string[] => readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();

test('the server can be run by the account that we choose, also from a folder that only we may enter', async () => {
  const account = chooseAccount(path.join(closed, 'data'));
  const { initdb, postgres } = await findRunnableBinaries(account, installed);
  for (const program of [initdb, postgres])
    expect(await runOnce(account, program, ['--version'])).toContain('(PostgreSQL) 18');
});

test('a copy of the server is complete, readable for everybody, and used again', () => {
  const { postgres } = copyBinaries(installed, base);
  const copy = path.join(path.dirname(postgres), '..');
  expect(listFiles(copy)).toEqual(listFiles(folder));
  expect(statSync(copy).mode & 0o777).toBe(0o755);
  expect(statSync(postgres).mode & 0o777).toBe(0o755);
  const { ino } = statSync(postgres);
  expect(statSync(copyBinaries(installed, base).postgres).ino).toBe(ino);
});

test('files that a cleaner of temporary files removed from a copy are copied again', () => {
  const { postgres } = copyBinaries(installed, base);
  const share = path.join(path.dirname(postgres), '..', 'share', 'postgresql');
  rmSync(path.join(share, 'timezonesets'), { recursive: true });
  copyBinaries(installed, base);
  expect(listFiles(share)).toEqual(listFiles(path.join(folder, 'share', 'postgresql')));
});
