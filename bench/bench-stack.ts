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

/** A folder of this run's own, for data and builds; deleted when the process ends. */
export function benchFolder(): string {
  if (folder !== undefined) return folder;
  const made = mkdtempSync(path.join(tmpdir(), 'comply-bench-'));
  chmodSync(made, 0o755); // PostgreSQL, which is never root, has to reach its data
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  folder = made;
  return made;
}

/** A load test's key must not meet its own limit; the limiter works as ever, on larger numbers. */
const RATE_LIMIT = 1_000_000_000;
/** The first port that is tried for a functions host. */
const PORT = 17_071;
const DRAIN_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** What runs in the host of a bench, besides its HTTP functions. */
export type HostRole = 'http alone' | 'everything' | 'queues alone';

/** A superuser's connections, for arranging and looking. */
export type AdminSql = postgres.Sql;

/** A stack with what benches do on it. */
export interface BenchStack {
  readonly stack: Stack;
  /** Its functions hosts, `stack.host` the first of them. */
  readonly hosts: readonly Stack['host'][];
  /** Of the hosts. */
  readonly ports: number[];
  readonly core: AdminSql;
  readonly billing: AdminSql;
  readonly analytics: AdminSql;
  /** Prepares the server for a round: what earlier ones left to write is written, and no one's outbox is in the way. */
  settle(): Promise<void>;
  /** Rows of the outbox. */
  outboxRows(): Promise<number>;
  /** Waits until the publisher has sent what it holds: the outbox no longer shrinks. Answers what is left. */
  drainOutbox(): Promise<number>;
  meter(more?: Readonly<Record<string, number | undefined>>): ProcessorMeter;
  stop(): Promise<void>;
}

let built: Promise<string> | undefined;

/** The app that is measured, built once in a run: a folder of its own, so that no later build changes it. */
export function builtApp(): Promise<string> {
  built ??= buildApp(path.join(benchFolder(), 'app'));
  return built;
}

/**
 * The functions that Azure runs on instances of their own under Flex Consumption, which scales HTTP functions together and
 * each queue and timer function apart: a request's instance does not pay for them.
 */
function disabledFunctions(role: HostRole, registered: readonly string[]): Record<string, string> {
  const isQueue = (name: string): boolean => name.endsWith('-consume');
  const disabled = registered.filter((name) => {
    if (role === 'everything') return false;
    return role === 'http alone' || !isQueue(name);
  });
  return Object.fromEntries(disabled.map((name) => [`AzureWebJobs.${name}.Disabled`, 'true']));
}

/** The queue and timer functions, by their files' names, as they register themselves. */
function backgroundFunctions(): string[] {
  const names = (kind: string): string[] =>
    readdirSync(new URL(`../functions/${kind}`, import.meta.url)).map((file) => path.basename(file, '.ts'));
  return [...names('queue').map((queue) => `${queue}-consume`), ...names('timer')];
}

/** What a bench's stack has besides. */
export interface BenchStackOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** Functions hosts, one unless said: Azure starts more of them as a queue grows. */
  readonly instances?: number;
}

/** Starts a stack on fresh data: durable, as `npm start` is, and with a Redis. */
export async function startBenchStack(
  role: HostRole,
  { settings = {}, instances = 1 }: BenchStackOptions = {},
): Promise<BenchStack> {
  const appDir = await builtApp();
  const stack = await startStack({
    folder: path.join(benchFolder(), 'stack'),
    fresh: true,
    appDir,
    port: PORT,
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
    // Within a time: where a bench failed, a COPY may be half-way.
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
