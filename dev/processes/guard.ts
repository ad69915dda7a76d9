import { Socket } from 'node:net';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findTypeScriptNode } from './node-command.ts';
import { readProcessIdentity } from './process-identity.ts';

/** A process that must end with this one, and the signal that ends it cleanly. */
export interface GuardedProcess {
  pid: number;
  identity: string;
  signal: NodeJS.Signals;
}

/** A message to the guard: one JSON object per line. */
export type GuardMessage = { add: GuardedProcess } | { remove: number };

const guarded = new Map<number, GuardedProcess>();
let guard: ChildProcess | undefined;

function send(message: GuardMessage): void {
  guard?.stdin?.write(`${JSON.stringify(message)}\n`);
}

function ensureGuard(): void {
  if (guard !== undefined) {
    return;
  }
  const main = fileURLToPath(new URL('./guard-main.ts', import.meta.url));
  const child = spawn(findTypeScriptNode(), [main], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guard = child;
  child.stdin.on('error', () => undefined); // the 'exit' handler below replaces a guard that ended
  // Neither the guard nor its pipe may keep this process running: the guard waits for the pipe's end.
  child.unref();
  const pipe = child.stdin;
  if (pipe instanceof Socket) {
    pipe.unref();
  }
  child.once('exit', () => {
    guard = undefined;
    if (guarded.size > 0) {
      ensureGuard();
    }
  });
  for (const entry of guarded.values()) {
    send({ add: entry });
  }
}

/** The guard's pid, if there is a guard. When it has ended, every process that it guarded has ended too. */
export function readGuardPid(): number | undefined {
  return guard?.pid;
}

/**
 * Makes the process `pid` end when this process ends, even by a kill. A separate small process, the guard, waits for the end
 * of this one and then signals the registered processes. It first checks that each pid still belongs to the same process.
 * Returns a function to call when the process has ended.
 */
export function guardProcess(pid: number, signal: NodeJS.Signals): () => void {
  const identity = readProcessIdentity(pid);
  if (identity === undefined) {
    return () => undefined; // already ended
  }
  ensureGuard();
  const entry = { pid, identity, signal };
  guarded.set(pid, entry);
  send({ add: entry });
  return () => {
    if (guarded.get(pid) === entry) {
      guarded.delete(pid);
      send({ remove: pid });
    }
  };
}
