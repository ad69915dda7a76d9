import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { buildApp } from '../dev/stack/build-app.ts';
import { findNextFreePort } from '../dev/processes/free-port.ts';
import { startHostChild } from '../dev/stack/start-host-child.ts';
import { startStack, type Stack } from '../dev/stack/start-stack.ts';
import { ProcessorMeter } from './processor-time.ts';

let folder: string | undefined;

/** This run's folder for data and builds; deleted when the process ends. */
export function benchFolder(): string {
  if (folder !== undefined) return folder;
  const made = mkdtempSync(path.join(tmpdir(), 'comply-bench-'));
  chmodSync(made, 0o755); // PostgreSQL never runs as root, and must reach its data
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  folder = made;
  return made;
}

/** So high that a load test's key does not reach it. The limiter still counts as usual. */
const RATE_LIMIT = 1_000_000_000;
/** The first port tried for a functions host. */
const PORT = 17_071;
const DRAIN_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** The functions that run in the hosts of a benchmark. HTTP functions always run. */
export type HostRole = 'http alone' | 'everything' | 'queues alone';

/** A superuser's connections, to prepare data and to read it. */
export type AdminSql = postgres.Sql;

/** A running stack, and what benchmarks do with it. */
export interface BenchStack {
  readonly stack: Stack;
  /** Its functions hosts. The first is `stack.host`. */
  readonly hosts: readonly Stack['host'][];
  /** The hosts' ports. */
  readonly ports: number[];
  readonly core: AdminSql;
  readonly billing: AdminSql;
  readonly analytics: AdminSql;
  /** Prepares the server for a round: empties the outbox and runs a checkpoint, so that earlier rounds leave no work. */
  settle(): Promise<void>;
  /** Rows of the outbox. */
  outboxRows(): Promise<number>;
  /** Waits until the publisher has sent its events, so that the outbox no longer shrinks. Returns the remaining rows. */
  drainOutbox(): Promise<number>;
  meter(more?: Readonly<Record<string, number | undefined>>): ProcessorMeter;
  stop(): Promise<void>;
}

let built: Promise<string> | undefined;

/** The measured app, built once per run. It has its own folder, so that no later build changes it. */
export function builtApp(): Promise<string> {
  built ??= buildApp(path.join(benchFolder(), 'app'));
  return built;
}

/**
 * Settings that disable the functions of other instances. Azure's Flex Consumption runs all HTTP functions on shared
 * instances, and each queue and timer function on its own: an instance with requests does not run them.
 */
function disabledFunctions(role: HostRole, registered: readonly string[]): Record<string, string> {
  const isQueue = (name: string): boolean => name.endsWith('-consume');
  const disabled = registered.filter((name) => {
    if (role === 'everything') return false;
    return role === 'http alone' || !isQueue(name);
  });
  return Object.fromEntries(disabled.map((name) => [`AzureWebJobs.${name}.Disabled`, 'true']));
}

/** The registered names of the queue and timer functions, made from their files' names. */
function backgroundFunctions(): string[] {
  const names = (kind: string): string[] =>
    readdirSync(new URL(`../functions/${kind}`, import.meta.url)).map((file) => path.basename(file, '.ts'));
  return [...names('queue').map((queue) => `${queue}-consume`), ...names('timer')];
}

/** Options of {@link startBenchStack}. */
export interface BenchStackOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** With the stand-in for Entra ID. */
  readonly withOidc?: boolean;
  /** The number of functions hosts, because Azure starts more of them as a queue grows. Default 1. */
  readonly instances?: number;
}

/** Starts a stack on fresh data: durable like `npm start`, with Redis. */
export async function startBenchStack(
  role: HostRole,
  { settings = {}, instances = 1, withOidc = false }: BenchStackOptions = {},
): Promise<BenchStack> {
  const appDir = await builtApp();
  const stack = await startStack({
    folder: path.join(benchFolder(), 'stack'),
    fresh: true,
    appDir,
    port: PORT,
    withOidc,
    settings: { ...disabledFunctions(role, backgroundFunctions()), ...settings },
  });
  const hosts = [stack.host];
  while (hosts.length < instances) {
    const name = `host-${hosts.length + 1}`;
    const host = await startHostChild({
      appDir,
      settings: stack.settings,
      port: await findNextFreePort(PORT + 1),
      stateDir: path.join(stack.folder, name),
      logFile: path.join(stack.folder, 'logs', `${name}.log`),
    }).catch(async (error: unknown) => {
      await stack.stop();
      throw error;
    });
    hosts.push(host);
  }
  const open = (url: string): AdminSql => postgres(url, { max: 2, onnotice: () => undefined });
  const core = open(stack.adminUrls.core);
  const billing = open(stack.adminUrls.billing);
  const analytics = open(stack.adminUrls.analytics);
  const stop = async (): Promise<void> => {
    // With a timeout: a COPY may still be running when a benchmark failed.
    await Promise.all([core, billing, analytics].map((sql) => sql.end({ timeout: 5 })));
    await Promise.all(hosts.slice(1).map((host) => host.stop()));
    await stack.stop();
  };
  await core`update api_keys set rate_limit_per_hour = ${RATE_LIMIT}, rate_limit_per_day = ${RATE_LIMIT}`;
  const outboxRows = async (): Promise<number> => {
    const [row] = await core<{ rows: number }[]>`select count(*)::int as rows from ops.outbox`;
    return row?.rows ?? 0;
  };
  return {
    stack,
    hosts,
    ports: hosts.map((host) => host.ready.port),
    core,
    billing,
    analytics,
    stop,
    outboxRows,
    async settle() {
      await core`truncate ops.outbox`;
      await core`checkpoint`;
    },
    async drainOutbox() {
      const deadline = Date.now() + DRAIN_TIMEOUT_MS;
      let before = await outboxRows();
      for (;;) {
        await delay(POLL_MS * 4);
        const now = await outboxRows();
        if (now === before || Date.now() > deadline) return now;
        before = now;
      }
    },
    meter: (more = {}) =>
      new ProcessorMeter({
        ...Object.fromEntries(hosts.map(({ pid }, n) => [n === 0 ? 'functions host' : `host ${n + 1}`, pid])),
        PostgreSQL: stack.postgres.process.pid,
        broker: stack.broker.pid,
        Redis: stack.redis?.process.pid,
        ...more,
      }),
  };
}
