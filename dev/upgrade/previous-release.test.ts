import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { VERSION } from '../../shared/platform/config/version.ts';
import { compareReleases } from '../../tools/migrate/releases.ts';
import { APP_FOLDER } from '../stack/build-app.ts';
import { needCommit, readPreviousRelease } from './previous-release.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-release-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const release = readPreviousRelease();
const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' });

test('the previous release is the commit of an older version', async () => {
  await needCommit(release);
  const manifest = z
    .object({ version: z.string() })
    .parse(JSON.parse(git('-C', APP_FOLDER, 'show', `${release.commit}:package.json`)));
  expect(manifest.version).toBe(release.version);
  expect(compareReleases(release.version, VERSION)).toBeLessThan(0);
});

test('a shallow clone fetches the commit', async () => {
  await needCommit(release);
  const clone = path.join(folder, 'shallow');
  git('clone', '--quiet', '--depth=1', pathToFileURL(APP_FOLDER).href, clone);
  // Only with a commit of its own, the clone is without the release.
  expect(() => git('-C', clone, 'cat-file', '-e', `${release.commit}^{commit}`)).toThrow();
  await needCommit(release, clone);
  git('-C', clone, 'cat-file', '-e', `${release.commit}^{commit}`);
});

test('without the commit it says what to do', async () => {
  const unknown = { version: '0.0.1', commit: '0'.repeat(40) };
  await expect(needCommit(unknown)).rejects.toThrow(
    /the previous release \(0\.0\.1, commit 0{40}\) is not in this clone: .*Run `git fetch --unshallow`/,
  );
  await expect(needCommit(release, folder)).rejects.toThrow('this is no clone of the repository');
});
