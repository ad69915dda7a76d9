import { chownSync, realpathSync, statSync } from 'node:fs';
import { readPasswd } from './passwd.ts';

/**
 * Who runs PostgreSQL, which refuses to be root. As root we run it under another account, which may reach neither our
 * data nor our files: a clone under /root lies behind a folder that only root enters.
 */
export interface Account {
  /** What makes a spawned process run under this account: nothing when it is our own. */
  readonly ids: { uid?: number; gid?: number };
  /** Hands the account a file or an empty folder. */
  own(file: string): void;
}

const SELF: Account = { ids: {}, own: () => undefined };

function findOwner(dataDir: string): { uid: number; gid: number } | undefined {
  const owner = statSync(dataDir, { throwIfNoEntry: false });
  return owner === undefined || owner.uid === 0 ? undefined : owner;
}

/**
 * Chooses the account for PostgreSQL: our own, or, for root, whoever owns the data already, else the user
 * `postgres` if the machine has one, else `nobody`. Throws when there is neither.
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

/** How a process under another account is told where its data directory is. */
export interface DataPlace {
  /** The value of PostgreSQL's `-D`. */
  readonly argument: string;
  /** The folder in which the process must start. */
  readonly cwd: string;
}

/**
 * The data directory as the process can reach it. A process that starts in a folder may use it wherever it lies, so under
 * another account on Linux the data directory is the working directory, named by a path that passes no closed folder.
 * PostgreSQL stays in that directory, and its children inherit it. Nobody's permissions are changed, no right of root is
 * passed on, and the data stays where it was asked for.
 */
export function placeData(account: Account, dataDir: string): DataPlace {
  const isOther = account.ids.uid !== undefined;
  return isOther && process.platform === 'linux'
    ? { argument: '/proc/self/cwd', cwd: dataDir }
    : { argument: dataDir, cwd: '/' };
}

/** Whether the process has `folder` as its working directory; false where the system does not tell. */
export function worksInFolder(pid: number, folder: string): boolean {
  try {
    return realpathSync(`/proc/${pid}/cwd`) === realpathSync(folder);
  } catch {
    return false; // no such process, or no /proc
  }
}
