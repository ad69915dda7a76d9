import type { ChildProcess } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import type { z } from 'zod';
import { findTypeScriptNode } from '../processes/node-command.ts';
import { endChild, startManagedProcess } from '../processes/managed-process.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { spawnGuarded } from '../processes/spawn-guarded.ts';

const READY_TIMEOUT_MS = 60_000; // enough for a first start on a busy machine
const LOG_TAIL_CHARACTERS = 4_000;

/** One of our own programs as a child process. It reports when it is ready, and ends with this process. */
export interface NodeChildOptions<T> {
  name: string;
  main: string;
  args: string[];
  /** Arguments of Node itself. */
  nodeArgs?: readonly string[] | undefined;
  env: NodeJS.ProcessEnv;
  /** The message it sends when it is ready. */
  ready: z.ZodType<T>;
  logFile: string;
  /** Called with the child's output, which also goes to the log. */
  onOutput?: ((text: string) => void) | undefined;
  onEvent?: ((text: string) => void) | undefined;
}

function waitForReady<T>(child: ChildProcess, options: NodeChildOptions<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => fail(`was not ready within ${READY_TIMEOUT_MS / 1000} s`),
      READY_TIMEOUT_MS,
    );
    const fail = (why: string): void => {
      clearTimeout(timer);
      const log = readFileSync(options.logFile, 'utf8').slice(-LOG_TAIL_CHARACTERS).trim();
      reject(new Error(`${options.name} ${why}\n${log}`));
    };
    child.once('exit', (code, signal) => fail(`ended while starting (${signal ?? `exit code ${code}`})`));
    child.on('message', (message) => {
      const parsed = options.ready.safeParse(message);
      if (parsed.success) {
        clearTimeout(timer);
        resolve(parsed.data);
      }
    });
  });
}

async function launch<T>(options: NodeChildOptions<T>): Promise<{ child: ChildProcess; ready: T }> {
  appendFileSync(options.logFile, '', { mode: 0o600 });
  const child = await spawnGuarded(
    findTypeScriptNode(),
    [...(options.nodeArgs ?? []), options.main, ...options.args],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: options.env },
    'SIGTERM',
  );
  const keep = (chunk: Buffer): void => {
    appendFileSync(options.logFile, chunk);
    options.onOutput?.(chunk.toString('utf8'));
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  try {
    return { child, ready: await waitForReady(child, options) };
  } catch (error) {
    await endChild(child, 'SIGKILL');
    throw error;
  }
}

/**
 * Starts the program, and restarts it with growing delays when it ends unexpectedly. If the first start fails, throws with
 * the end of its log.
 */
export function startNodeChild<T>(options: NodeChildOptions<T>): Promise<ManagedProcess<T>> {
  return startManagedProcess({
    name: options.name,
    launch: () => launch(options),
    stopSignal: 'SIGTERM',
    restart: true,
    onEvent: options.onEvent,
  });
}
