import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Account } from './account.ts';
import {
  findPostgresBinaries,
  listBinaries,
  type InstalledPostgres,
  type PostgresBinaries,
} from './binaries.ts';
import { runOnce } from './run-once.ts';

const EVERYBODY_READS = 0o644;
const EVERYBODY_RUNS = 0o755;
const ANYBODY_RUNS = 0o111;
const OTHERS_WRITE = 0o022;

/** Why the account cannot run these binaries, or undefined when it can. */
async function findObstacle(account: Account, binaries: PostgresBinaries): Promise<string | undefined> {
  try {
    await runOnce(account, binaries.postgres, ['--version']);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Copies files that `to` lacks or has in another size. Everybody may read the copy. Symbolic links stay links. */
function copyMissing(from: string, to: string): void {
  if (!existsSync(to)) mkdirSync(to);
  chmodSync(to, EVERYBODY_RUNS);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    const there = lstatSync(target, { throwIfNoEntry: false });
    if (entry.isDirectory()) copyMissing(source, target);
    else if (entry.isSymbolicLink()) {
      if (there === undefined) symlinkSync(readlinkSync(source), target);
    } else copyOne(source, target, there?.size);
  }
}

function copyOne(source: string, target: string, sizeThere: number | undefined): void {
  const { size, mode } = statSync(source);
  if (size === sizeThere) return;
  // Another start may copy the same file now, or run it. A rename replaces it at once, so nobody sees half a file.
  const draft = `${target}.${process.pid}`;
  copyFileSync(source, draft);
  chmodSync(draft, (mode & ANYBODY_RUNS) === 0 ? EVERYBODY_READS : EVERYBODY_RUNS);
  renameSync(draft, target);
}

/** Throws when another user could have put programs into the folder, because we would run them. */
function checkOwnership(folder: string): void {
  const { uid, mode } = lstatSync(folder);
  if (!lstatSync(folder).isDirectory() || uid !== process.getuid?.() || (mode & OTHERS_WRITE) !== 0) {
    throw new Error(`other users could write to ${folder}`);
  }
}

/**
 * Keeps a copy of the installed server under `base`, one per version, and returns its binaries. An existing copy is used
 * again. Files that a cleaner of temporary files removed are copied again.
 */
export function copyBinaries(installed: InstalledPostgres, base: string): PostgresBinaries {
  const folder = path.join(base, `comply-postgres-${installed.version}`);
  if (!existsSync(folder)) {
    const draft = mkdtempSync(`${folder}.`);
    try {
      copyMissing(installed.folder, draft);
      renameSync(draft, folder);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(folder)) throw error; // otherwise another start has made it
    }
  }
  checkOwnership(folder);
  copyMissing(installed.folder, folder);
  return listBinaries(folder);
}

/**
 * Binaries that the account can run: npm's own, or a copy in a folder for temporary files when the account cannot reach
 * npm's. A link is not enough, because PostgreSQL finds its files by its program's real path. Throws with the reasons when
 * neither works.
 */
export async function findRunnableBinaries(
  account: Account,
  installed = findPostgresBinaries(),
): Promise<PostgresBinaries> {
  if (account.ids.uid === undefined) return installed.binaries;
  const obstacles = [await findObstacle(account, installed.binaries)];
  if (obstacles[0] === undefined) return installed.binaries;
  for (const base of new Set(['/var/tmp', '/tmp', tmpdir()])) {
    try {
      const copy = copyBinaries(installed, base);
      const obstacle = await findObstacle(account, copy);
      if (obstacle === undefined) return copy;
      obstacles.push(obstacle);
    } catch (error) {
      obstacles.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and no other account can run it here: start as an ordinary user\n${obstacles.join('\n')}`,
  );
}
