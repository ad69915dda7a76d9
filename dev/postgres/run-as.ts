import { execFile, spawnSync } from 'node:child_process';
import { chownSync, existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { readPasswd } from './passwd.ts';

/**
 * How to run PostgreSQL, which refuses to be root. `wrap` turns a command into one that runs under the right
 * account; `own` hands that account a file or an empty folder.
 */
export interface RunAs {
  uid: number | undefined;
  gid: number | undefined;
  wrap(command: string, args: string[]): { command: string; args: string[]; uid?: number; gid?: number };
  own(file: string): void;
}

const SELF: RunAs = {
  uid: undefined,
  gid: undefined,
  wrap: (command, args) => ({ command, args }),
  own: () => undefined,
};

const OTHERS_MAY_ENTER = 0o001;
const GROUP_MAY_ENTER = 0o010;
const OWNER_MAY_ENTER = 0o100;

/** Whether the account may pass through every folder above `file`. */
function mayReach(file: string, uid: number, gid: number): boolean {
  for (let folder = path.dirname(path.resolve(file)); ; folder = path.dirname(folder)) {
    const { mode, uid: owner, gid: group } = statSync(folder);
    const bit = owner === uid ? OWNER_MAY_ENTER : group === gid ? GROUP_MAY_ENTER : OTHERS_MAY_ENTER;
    if ((mode & bit) === 0) {
      return false;
    }
    if (folder === path.dirname(folder)) {
      return true;
    }
  }
}

function setprivArgs(uid: number, gid: number): string[] {
  const capability = '+dac_override';
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    `--inh-caps=${capability}`,
    `--ambient-caps=${capability}`,
    '--',
  ];
}

/** Runs under the account, still allowed to pass through folders that only root may enter (such as /root). */
function runAsThroughClosedFolders(uid: number, gid: number, closed: string): RunAs {
  const setpriv = '/usr/bin/setpriv';
  const args = setprivArgs(uid, gid);
  if (!existsSync(setpriv) || spawnSync(setpriv, [...args, 'true']).status !== 0) {
    throw new Error(
      `PostgreSQL refuses to run as root, and no other account may enter the folders above ${closed}. ` +
        'Run as an ordinary user, or move the project to where others may enter.',
    );
  }
  return {
    uid,
    gid,
    wrap: (command, rest) => ({ command: setpriv, args: [...args, command, ...rest] }),
    own: (file) => chownSync(file, uid, gid),
  };
}

function findOwner(dataDir: string): { uid: number; gid: number } | undefined {
  const owner = statSync(dataDir, { throwIfNoEntry: false });
  return owner === undefined || owner.uid === 0 ? undefined : owner;
}

/**
 * Chooses the account for PostgreSQL: our own, or, for root, whoever owns the data already, else the user
 * `postgres` if the machine has one, else `nobody`. Throws when that account cannot reach binaries and data.
 */
export function chooseAccount(binary: string, dataDir: string): RunAs {
  if (process.getuid?.() !== 0) {
    return SELF;
  }
  const account = findOwner(dataDir) ?? readPasswd('postgres') ?? readPasswd('nobody');
  if (account === undefined) {
    throw new Error(
      'PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody',
    );
  }
  const { uid, gid } = account;
  const closed = [binary, dataDir].find((file) => !mayReach(file, uid, gid));
  if (closed !== undefined) {
    return runAsThroughClosedFolders(uid, gid, closed);
  }
  return {
    uid,
    gid,
    wrap: (command, args) => ({ command, args, uid, gid }),
    own: (file) => chownSync(file, uid, gid),
  };
}

/** Runs a short command to its end under the account; throws with what it printed when it fails. */
export async function runOnce(account: RunAs, command: string, args: string[]): Promise<void> {
  const wrapped = account.wrap(command, args);
  const { uid, gid } = wrapped;
  await promisify(execFile)(wrapped.command, wrapped.args, {
    cwd: '/',
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
  });
}
