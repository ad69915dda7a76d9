import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../processes/free-port.ts';
import { endChild, startManagedProcess } from '../processes/managed-process.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { spawnGuarded } from '../processes/spawn-guarded.ts';
import { findRedisMemoryServer, findRedisServer } from './find-redis.ts';
import { pingRedis } from './ping-redis.ts';

const READY_POLL_MS = 10;
const READY_TIMEOUT_MS = 10_000;

/** How a local Redis runs. */
export interface RedisOptions {
  logFile: string;
  password: string;
  /** If it is in use, another free port is taken. */
  port?: number | undefined;
  /** How many numbered databases it has. Default 16. */
  databases?: number;
  restart?: boolean;
  onEvent?: ((text: string) => void) | undefined;
}

/** A running Redis. It is only a cache: it writes nothing to disk. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly process: ManagedProcess<{ port: number }>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

// The configuration goes to standard input, because others can read a password on the command line.
function writeConfig(options: RedisOptions, port: number): string {
  return [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${options.password}`,
    `databases ${options.databases ?? 16}`,
    'maxmemory 256mb',
    'maxmemory-policy allkeys-lru',
    'save ""',
    'appendonly no',
    'daemonize no',
    `dir ${tmpdir()}`,
    '',
  ].join('\n');
}

async function launchRedis(
  binary: string,
  options: RedisOptions,
  port: number,
): Promise<{ child: ChildProcess; ready: { port: number } }> {
  const log = openSync(options.logFile, 'a', 0o600);
  const child = await spawnGuarded(binary, ['-'], { stdio: ['pipe', log, log] }, 'SIGTERM').finally(() =>
    closeSync(log),
  );
  child.stdin?.on('error', () => undefined); // the server ended early; the loop below reports it
  child.stdin?.end(writeConfig(options, port));
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await pingRedis(port, options.password))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      await endChild(child, 'SIGKILL');
      throw new Error(`Redis did not start; see ${options.logFile}`);
    }
    await delay(READY_POLL_MS);
  }
  return { child, ready: { port } };
}

/**
 * Starts a Redis on 127.0.0.1: `redis-server` or `valkey-server` on the PATH, else the one of `redis-memory-server`. Null
 * when this machine has none. `password` has only letters and digits.
 */
export async function startRedis(options: RedisOptions): Promise<RedisServer | null> {
  const binary = findRedisServer() ?? (await findRedisMemoryServer());
  if (binary === undefined) {
    return null;
  }
  const port = await findFreePort(options.port);
  const managed = await startManagedProcess({
    name: 'Redis',
    launch: () => launchRedis(binary, options, port),
    stopSignal: 'SIGTERM',
    restart: options.restart ?? false,
    onEvent: options.onEvent,
  });
  return {
    port,
    url: `redis://:${options.password}@127.0.0.1:${port}`,
    process: managed,
    stop: () => managed.stop(),
    kill: () => managed.kill(),
    start: () => managed.start(),
  };
}
