import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../processes/free-port.ts';
import { endChild, startManagedProcess } from '../processes/managed-process.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { spawnGuarded } from '../processes/spawn-guarded.ts';
import { chooseAccount, placeData } from './account.ts';
import type { Account } from './account.ts';
import { readDataVersion } from './binaries.ts';
import type { PostgresBinaries } from './binaries.ts';
import { ADMIN_USER, createCluster } from './create-cluster.ts';
import { clearStaleServer, isServerReady } from './pid-file.ts';
import { findRunnableBinaries } from './runnable-binaries.ts';

const BINARY_MAJOR = '18';
const READY_POLL_MS = 10;
const READY_TIMEOUT_MS = 60_000; // the longest crash recovery of a large write-ahead log
const ORPHANS_TIMEOUT_MS = 10_000; // sessions of a killed server end within about a second

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  effective_cache_size: '1GB',
  maintenance_work_mem: '64MB',
  wal_buffers: '16MB',
  checkpoint_completion_target: '0.9',
  default_statistics_target: '100',
  jit: 'off', // as on Azure Database for PostgreSQL: it makes short statements slower
  timezone: 'UTC',
  log_timezone: 'UTC',
};

// Throw-away data need not wait for the disk, and cloning a database writes less. Committed rows still survive a killed
// server: the fault tests need that.
const THROW_AWAY_SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  shared_buffers: '128MB',
  io_method: 'sync',
};

/** Options of {@link startPostgres}. */
export interface PostgresOptions {
  /** Absolute path; made when missing. */
  dataDir: string;
  logFile: string;
  /** The password of the superuser `postgres`, set when the data directory is made. */
  password: string;
  /** If it is in use, another free port is taken. */
  port?: number | undefined;
  /** False for throw-away data: faster, but a crash of the machine (not of the process) can lose it. */
  durable: boolean;
  /** Server settings, over the ones of a local server. */
  settings?: Readonly<Record<string, string>> | undefined;
  /** Start the server again when it ends unexpectedly. */
  restart?: boolean;
  onEvent?: ((text: string) => void) | undefined;
}

/** A running PostgreSQL server on the loopback interface. */
export interface PostgresServer {
  readonly port: number;
  readonly process: ManagedProcess<{ port: number }>;
  /** Connection string of the superuser. */
  adminUrl(database?: string): string;
  /** `fast` ends every session cleanly; `immediate` is like a crash: the server recovers at its next start. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** SIGKILL; the server stays down until `start`. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
}

/** What the server logged after `from` (a byte offset). */
function readLogTail(logFile: string, from: number): string {
  return readFileSync(logFile).subarray(from).toString('utf8');
}

async function waitUntilReady(child: ChildProcess, dataDir: string): Promise<boolean> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (child.pid === undefined || !isServerReady(dataDir, child.pid)) {
    if (child.exitCode !== null || child.signalCode !== null) {
      return false;
    }
    if (Date.now() > deadline) {
      await endChild(child, 'SIGQUIT');
      return false;
    }
    await delay(READY_POLL_MS);
  }
  return true;
}

async function spawnServer(
  binaries: PostgresBinaries,
  account: Account,
  options: PostgresOptions,
  port: number,
): Promise<ChildProcess> {
  const settings = {
    ...SETTINGS,
    ...(options.durable ? {} : THROW_AWAY_SETTINGS),
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const { argument, cwd } = placeData(account, options.dataDir);
  const log = openSync(options.logFile, 'a', 0o600);
  try {
    return await spawnGuarded(
      binaries.postgres,
      ['-D', argument, '-p', String(port), ...flags],
      { ...account.ids, cwd, stdio: ['ignore', log, log] },
      'SIGINT',
    );
  } finally {
    closeSync(log);
  }
}

async function launchServer(
  binaries: PostgresBinaries,
  account: Account,
  options: PostgresOptions,
  port: number,
): Promise<{ child: ChildProcess; ready: { port: number } }> {
  await clearStaleServer(options.dataDir);
  const deadline = Date.now() + ORPHANS_TIMEOUT_MS;
  for (;;) {
    const logStart = existsSync(options.logFile) ? statSync(options.logFile).size : 0;
    const child = await spawnServer(binaries, account, options, port);
    if (await waitUntilReady(child, options.dataDir)) {
      return { child, ready: { port } };
    }
    const log = readLogTail(options.logFile, logStart);
    // Sessions of a killed server keep its shared memory for a moment.
    if (!/pre-existing shared memory block|lock file "postmaster.pid"/.test(log) || Date.now() > deadline) {
      throw new Error(`PostgreSQL did not start:\n${log.trim()}`);
    }
    await delay(100);
  }
}

/**
 * Starts PostgreSQL on 127.0.0.1; makes its data directory when missing. Works as root and as an ordinary user, in a folder
 * that only we may enter, after a crash, and after a killed start. Throws with the server's log when it cannot start.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  mkdirSync(path.dirname(options.dataDir), { recursive: true });
  const account = chooseAccount(options.dataDir);
  const binaries = await findRunnableBinaries(account);
  const version = readDataVersion(options.dataDir);
  if (version === undefined) {
    await createCluster(binaries, account, options.dataDir, options.password, options.durable);
  } else if (version !== BINARY_MAJOR) {
    throw new Error(
      `${options.dataDir} was made by PostgreSQL ${version}, and this is ${BINARY_MAJOR}: start with --fresh`,
    );
  }
  await clearStaleServer(options.dataDir);
  const port = await findFreePort(options.port);
  const managed = await startManagedProcess({
    name: 'PostgreSQL',
    launch: () => launchServer(binaries, account, options, port),
    stopSignal: 'SIGINT',
    restart: options.restart ?? false,
    onEvent: options.onEvent,
  });
  return {
    port,
    process: managed,
    adminUrl: (database = ADMIN_USER) =>
      `postgres://${ADMIN_USER}:${encodeURIComponent(options.password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    stop: (mode = 'fast') => managed.stop(mode === 'fast' ? 'SIGINT' : 'SIGQUIT'),
    kill: () => managed.kill(),
    start: () => managed.start(),
  };
}
