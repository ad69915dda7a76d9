import { chownSync, realpathSync, statSync } from 'node:fs';
import { readPasswd } from './passwd.ts';

/**
 * The account that runs PostgreSQL. It refuses to run as root, so root runs it under another account. That account may not
 * reach our files: a clone under /root is in a folder that only root may enter.
 */
export interface Account {
  /** Options for `spawn` to run under this account; empty when it is our own. */
  readonly ids: { uid?: number; gid?: number };
  /** Makes the account the owner of a file or an empty folder. */
  own(file: string): void;
}

const SELF: Account = { ids: {}, own: () => undefined };

function findOwner(dataDir: string): { uid: number; gid: number } | undefined {
  const owner = statSync(dataDir, { throwIfNoEntry: false });
  return owner === undefined || owner.uid === 0 ? undefined : owner;
}

/**
 * Chooses the account for PostgreSQL: our own. For root: the owner of existing data, else the user `postgres`, else the user
 * `nobody`. Throws when there is none of them.
 */
export function chooseAccount(dataDir: string): Account {
  if (process.getuid?.() !== 0) {
    return SELF;
  }
  const found = findOwner(dataDir) ?? readPasswd('postgres') ?? readPasswd('nobody');
  if (found === undefined) {
    throw new Error(
      'PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody',
    );
  }
  const { uid, gid } = found;
  return { ids: { uid, gid }, own: (file) => chownSync(file, uid, gid) };
}

/** How a process under another account finds its data directory. */
export interface DataPlace {
  /** The value of PostgreSQL's `-D`. */
  readonly argument: string;
  /** The folder in which the process must start. */
  readonly cwd: string;
}

/**
 * The data directory as the process can reach it. A process may use its working directory even inside a folder that it may
 * not enter. So on Linux, under another account, the data directory is the working directory, and its path is
 * `/proc/self/cwd`. PostgreSQL stays in it, and its child processes inherit it. This changes no permissions and moves no data.
 */
export function placeData(account: Account, dataDir: string): DataPlace {
  const isOther = account.ids.uid !== undefined;
  return isOther && process.platform === 'linux'
    ? { argument: '/proc/self/cwd', cwd: dataDir }
    : { argument: dataDir, cwd: '/' };
}

/** Whether `folder` is the process's working directory; false on a system without /proc. */
export function worksInFolder(pid: number, folder: string): boolean {
  try {
    return realpathSync(`/proc/${pid}/cwd`) === realpathSync(folder);
  } catch {
    return false; // no such process, or no /proc
  }
}
