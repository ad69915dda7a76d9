import { Socket } from 'node:net';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findTypeScriptNode } from './node-command.ts';
import { readProcessIdentity } from './process-identity.ts';

/** One process that must not outlive this one, and the signal that ends it in good order. */
export interface GuardedProcess {
  pid: number;
  identity: string;
  signal: NodeJS.Signals;
}

/** What is said to the guard, one JSON object a line. */
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
  child.stdin.on('error', () => undefined); // a guard that is gone is replaced below
  // Neither the guard nor its pipe keeps this process running: the end of the pipe is what the guard waits for.
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

/** The guard's own process, when there is one: once it is gone, so is everything it guarded. */
export function readGuardPid(): number | undefined {
  return guard?.pid;
}

/**
 * Makes sure that the process ends when this one does, however this one ends: a small process of its own waits
 * for this one to end and then signals the registered processes, after checking that each pid still belongs to the same
 * process. Returns the release, to be called once the process has ended.
 */
export function guardProcess(pid: number, signal: NodeJS.Signals): () => void {
  const identity = readProcessIdentity(pid);
  if (identity === undefined) {
    return () => undefined; // ended already
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
