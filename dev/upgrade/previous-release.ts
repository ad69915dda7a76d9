import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { findTypeScriptNode } from '../processes/node-command.ts';
import { APP_FOLDER } from '../stack/build-app.ts';
import type { AppSettings } from '../stack/app-settings.ts';
import type { SeedResult } from '../stack/secrets.ts';
import type { StackFilling } from '../stack/start-stack.ts';
import { withDatabase } from '../../tools/migrate/connect.ts';
import { nameDatabase } from '../../tools/migrate/databases.ts';

const run = promisify(execFile);

const releaseSchema = z.strictObject({
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
});

/** The release before this one, which this one must be able to run beside. */
export type Release = z.output<typeof releaseSchema>;

/** Reads `previous-release.json`, which each release changes. */
export function readPreviousRelease(): Release {
  return releaseSchema.parse(
    JSON.parse(readFileSync(path.join(import.meta.dirname, 'previous-release.json'), 'utf8')),
  );
}

async function git(clone: string, ...args: string[]): Promise<string> {
  return (await run('git', ['-C', clone, ...args])).stdout.trim();
}

async function hasCommit(clone: string, commit: string): Promise<boolean> {
  return git(clone, 'cat-file', '-e', `${commit}^{commit}`).then(
    () => true,
    () => false,
  );
}

/** Makes sure that the commit is there. A shallow clone fetches it, alone. Throws, with what to do, when it cannot be had. */
export async function needCommit({ version, commit }: Release, clone = APP_FOLDER): Promise<void> {
  if (await hasCommit(clone, commit)) return;
  let reason = 'this is no clone of the repository';
  try {
    const isShallow = (await git(clone, 'rev-parse', '--is-shallow-repository')) === 'true';
    reason = isShallow ? '' : 'the clone is whole, and its history does not have it';
    if (isShallow) await git(clone, 'fetch', '--quiet', '--no-tags', '--depth=1', 'origin', commit);
    if (await hasCommit(clone, commit)) return;
  } catch (error) {
    reason ||= `git fetch failed: ${error instanceof Error ? error.message : String(error)}`;
  }
  throw new Error(
    `the previous release (${version}, commit ${commit}) is not in this clone: ${reason}. ` +
      'Run `git fetch --unshallow`, or correct dev/upgrade/previous-release.json',
  );
}

/** A release in a folder of its own, built. */
export interface ExtractedRelease {
  readonly version: string;
  /** Its sources, with its build in dist/. */
  readonly appDir: string;
  /** Fills a stack with its own tools: its migrations, its seed, its plans. */
  readonly filling: StackFilling;
}

/** Runs one of the release's own programs. */
async function runOwn(folder: string, args: readonly string[], settings: AppSettings): Promise<string> {
  const { stdout } = await run(findTypeScriptNode(), [...args], {
    cwd: folder,
    env: { ...process.env, ...settings },
  });
  return stdout;
}

const SEED = `import { seedStack } from './dev/stack/seed-stack.ts';
process.stdout.write(JSON.stringify(await seedStack({ settings: JSON.parse(process.env.STACK_SETTINGS) })));`;

function fillWith(folder: string): StackFilling {
  return {
    // The release's own command does all three databases at once.
    async migrate(database, url) {
      if (database !== 'core') return 0;
      await runOwn(folder, ['tools/migrate/main.ts'], {
        MIGRATE_CORE_URL: url,
        MIGRATE_BILLING_URL: withDatabase(url, nameDatabase('billing')),
        MIGRATE_ANALYTICS_URL: withDatabase(url, nameDatabase('analytics')),
      });
      return 1;
    },
    async seed(settings) {
      const text = await runOwn(folder, ['--input-type=module', '--eval', SEED], {
        STACK_SETTINGS: JSON.stringify(settings),
      });
      return JSON.parse(text) as SeedResult;
    },
    async carry(settings) {
      return (await runOwn(folder, ['tools/carry/main.ts'], settings)).split('\n').length;
    },
  };
}

/**
 * Writes the release's sources into `folder` and builds them with their own builder. The libraries are those of this tree.
 * Throws, with what to do, when the clone does not have the release.
 */
export async function extractRelease(
  folder: string,
  release = readPreviousRelease(),
): Promise<ExtractedRelease> {
  await needCommit(release);
  mkdirSync(folder, { recursive: true });
  const archive = path.join(folder, 'release.tar');
  await git(APP_FOLDER, 'archive', '--format=tar', `--output=${archive}`, release.commit);
  await run('tar', ['-xf', archive, '-C', folder]);
  rmSync(archive);
  symlinkSync(path.join(APP_FOLDER, 'node_modules'), path.join(folder, 'node_modules'));
  await runOwn(folder, ['tools/build/main.ts'], {});
  return { version: release.version, appDir: folder, filling: fillWith(folder) };
}
