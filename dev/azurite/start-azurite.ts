import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../processes/free-port.ts';
import { endChild, startManagedProcess } from '../processes/managed-process.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { spawnGuarded } from '../processes/spawn-guarded.ts';

const READY_POLL_MS = 20;
const READY_TIMEOUT_MS = 30_000; // its many dependencies load slowly on a busy machine

/** A storage account. The name has 3 to 24 lower-case letters and digits; the key is base64. */
export interface StorageAccount {
  name: string;
  key: string;
}

/** Options of {@link startAzurite}. */
export interface AzuriteOptions {
  /** Absolute path of the blobs' folder; made when missing. */
  location: string;
  logFile: string;
  accounts: StorageAccount[];
  /** If it is in use, another free port is taken. */
  port?: number | undefined;
  restart?: boolean;
  onEvent?: ((text: string) => void) | undefined;
}

/** A running blob service. It saves its index only every few seconds and when it stops, so a kill loses the last blobs. */
export interface AzuriteServer {
  readonly port: number;
  readonly process: ManagedProcess<{ port: number }>;
  /** The connection string of an account. Throws for an account that it was not started with. */
  connectionString(account: string): string;
  stop(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

function findBlobMain(): string {
  const manifest = createRequire(import.meta.url).resolve('azurite/package.json');
  return path.join(path.dirname(manifest), 'dist', 'src', 'blob', 'main.js');
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function launchAzurite(
  options: AzuriteOptions,
  port: number,
): Promise<{ child: ChildProcess; ready: { port: number } }> {
  const log = openSync(options.logFile, 'a', 0o600);
  const args = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', options.location];
  // The storage SDK asks for newer API versions than Azurite knows.
  const flags = ['--silent', '--skipApiVersionCheck', '--disableTelemetry', '--disableProductStyleUrl'];
  const accounts = options.accounts.map(({ name, key }) => `${name}:${key}`).join(';');
  const child = await spawnGuarded(
    process.execPath,
    [findBlobMain(), ...args, ...flags],
    {
      cwd: options.location,
      stdio: ['ignore', log, log],
      env: { ...process.env, AZURITE_ACCOUNTS: accounts },
    },
    'SIGTERM',
  ).finally(() => closeSync(log));
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      await endChild(child, 'SIGKILL');
      throw new Error(`Azurite did not start; see ${options.logFile}`);
    }
    await delay(READY_POLL_MS);
  }
  return { child, ready: { port } };
}

/** Starts Azurite's blob service on 127.0.0.1. Throws when it is not ready within thirty seconds. */
export async function startAzurite(options: AzuriteOptions): Promise<AzuriteServer> {
  mkdirSync(options.location, { recursive: true });
  const port = await findFreePort(options.port);
  const managed = await startManagedProcess({
    name: 'Azurite',
    launch: () => launchAzurite(options, port),
    stopSignal: 'SIGTERM',
    restart: options.restart ?? false,
    onEvent: options.onEvent,
  });
  return {
    port,
    process: managed,
    connectionString: (name) => {
      const account = options.accounts.find((one) => one.name === name);
      if (account === undefined) {
        throw new Error(`Azurite was not started with an account ${name}`);
      }
      const endpoint = `http://127.0.0.1:${port}/${name}`;
      return `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${account.key};BlobEndpoint=${endpoint};`;
    },
    stop: () => managed.stop(),
    kill: () => managed.kill(),
    start: () => managed.start(),
  };
}
