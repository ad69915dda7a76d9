import { linkSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { readProcessIdentity } from '../processes/process-identity.ts';

const LOCK = 'lock.json';
const POLL_MS = 50;
const GUARD_TIMEOUT_MS = 20_000; // longer than the guard waits for the processes that it ends

const owner = z.object({ pid: z.int(), identity: z.string() });
const lockSchema = owner.extend({ guard: owner.optional() });
type Lock = z.output<typeof lockSchema>;

/** Another stack runs on the same folder. */
export class StackRunningError extends Error {
  override name = 'StackRunningError';
}

function isAlive({ pid, identity }: { pid: number; identity: string }): boolean {
  return readProcessIdentity(pid) === identity;
}

function readLock(file: string): Lock | undefined {
  try {
    return lockSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Two stacks must not use the same data. After a kill, the stack's guard ends the remaining processes: wait for it. */
async function waitForLeftovers(guard: Lock['guard']): Promise<void> {
  const deadline = Date.now() + GUARD_TIMEOUT_MS;
  while (guard !== undefined && isAlive(guard)) {
    if (Date.now() > deadline) {
      throw new Error(`processes of an earlier stack do not end (their guard is process ${guard.pid})`);
    }
    await delay(POLL_MS);
  }
}

/** Creates the file, with its whole content at once. Returns false when it already exists. */
function tryCreate(file: string, lock: Lock): boolean {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(lock), { mode: 0o600 });
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return false;
    }
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes a dead stack's lock. If another stack has just made a new lock, puts that one back. */
function removeStaleLock(file: string): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch {
    return; // another process has removed it
  }
  const lock = readLock(aside);
  if (lock !== undefined && isAlive(lock)) {
    renameSync(aside, file);
  } else {
    rmSync(aside, { force: true });
  }
}

/** A stack's folder, locked by one stack at a time. */
export interface LocalFolder {
  readonly path: string;
  /** Writes the guard's pid into the lock. When the guard has ended, all processes of this stack have ended. */
  writeGuard(pid: number | undefined): void;
  release(): void;
}

/**
 * Locks the folder; makes it when missing. With `fresh`, deletes everything in it. Waits for the remaining processes of a
 * killed stack. Throws StackRunningError when another stack runs on it.
 */
export async function takeLocalFolder(folder: string, fresh: boolean): Promise<LocalFolder> {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, LOCK);
  const self: Lock = { pid: process.pid, identity: readProcessIdentity(process.pid) ?? '' };
  while (!tryCreate(file, self)) {
    const held = readLock(file);
    if (held !== undefined && isAlive(held)) {
      throw new StackRunningError(`a stack is already running here (process ${held.pid}); stop it first`);
    }
    await waitForLeftovers(held?.guard);
    removeStaleLock(file);
  }
  if (fresh) {
    for (const name of readdirSync(folder).filter((entry) => entry !== LOCK)) {
      rmSync(path.join(folder, name), { recursive: true, force: true });
    }
  }
  return {
    path: folder,
    writeGuard: (pid) => {
      const identity = pid === undefined ? undefined : readProcessIdentity(pid);
      const guard = pid === undefined || identity === undefined ? undefined : { pid, identity };
      writeFileSync(`${file}.new`, JSON.stringify({ ...self, guard }), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
    release: () => rmSync(file, { force: true }),
  };
}
