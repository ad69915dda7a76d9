import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { findFreePort } from '../../dev/processes/free-port.ts';
import { writePorts } from '../../dev/stack/ports.ts';
import { openSecrets } from '../../dev/stack/secrets.ts';
import { startStack, type Stack, type StackFilling } from '../../dev/stack/start-stack.ts';
import { askForPart } from '../harness/ask.ts';
import { until } from '../harness/app.ts';
import { HttpClient } from './client.ts';
import type { LoadTenant } from './load.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** How long a dead host's message stays locked; in Azure it is five minutes. */
const LOCK_MS = 4_000;
/** An allowance that is larger than any load here. */
const AMPLE = 1_000_000;

/** Proxies between the host and the broker, which can hold traffic at an exact moment. */
export interface BusProxies {
  /** The app's connection, for what it publishes. */
  readonly publisher: TcpProxy;
  /** The host's connection, for what its queue triggers receive and settle. */
  readonly triggers: TcpProxy;
}

/** A stack of processes for fault tests, with several tenants. */
export interface FaultStack {
  readonly stack: Stack;
  readonly client: HttpClient;
  readonly tenants: readonly [LoadTenant, ...LoadTenant[]];
  /** The superuser's connections; reopened after PostgreSQL was stopped. */
  readonly sql: Readonly<Record<'core' | 'billing' | 'analytics', postgres.Sql>>;
  readonly bus: BusProxies | undefined;
  /** The proxy between the host and the blob storage. */
  readonly blobs: TcpProxy;
  /** The proxy between the host and Redis. */
  readonly redis: TcpProxy;
  /** Hosts that run beside the stack's own. */
  readonly besides?: readonly number[];
  /** All processes that have belonged to the stack. */
  readonly pids: Set<number>;
  /** The app's log, from the host's output. */
  readonly hostLog: string[];
  /** Sets the host's clock, relative to the machine's. */
  setClock(offsetMs: number): void;
  stop(): Promise<void>;
}

/** Options of a stack. */
export interface FaultStackOptions {
  /** Puts proxies between the host and the broker, and turns off duplicate detection, so that only consumers detect repeats. */
  readonly withBusProxies?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  /** Another build than that of this tree, with what fills its databases. */
  readonly release?: { readonly appDir: string; readonly filling: StackFilling };
}

/** The proxies, and the connection strings that lead through them. */
interface Proxies {
  readonly bus: BusProxies | undefined;
  readonly blobs: TcpProxy;
  readonly redis: TcpProxy;
  readonly settings: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts the proxies before the parts. The parts' ports and keys are chosen in advance. */
async function startProxies(folder: string, withBus: boolean): Promise<Proxies> {
  const { brokerKey, storageKey, redisPassword } = openSecrets(folder);
  const ports = {
    broker: await findFreePort(),
    azurite: await findFreePort(),
    redis: await findFreePort(),
  };
  writePorts(folder, ports);
  const blobs = await startTcpProxy(ports.azurite);
  const redis = await startTcpProxy(ports.redis);
  const bus = withBus
    ? { publisher: await startTcpProxy(ports.broker), triggers: await startTcpProxy(ports.broker) }
    : undefined;
  const through = (proxy: TcpProxy): string =>
    `Endpoint=sb://127.0.0.1:${proxy.port};SharedAccessKeyName=local;SharedAccessKey=${brokerKey};UseDevelopmentEmulator=true;`;
  const account = 'complylocal';
  return {
    bus,
    blobs,
    redis,
    settings: {
      REDIS_URL: `redis://:${redisPassword}@127.0.0.1:${redis.port}`,
      BLOB_CONNECTION: `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${storageKey};BlobEndpoint=http://127.0.0.1:${blobs.port}/${account};`,
      ...(bus === undefined
        ? {}
        : {
            SERVICE_BUS_CONNECTION: through(bus.publisher),
            // The triggers' binding reads this setting first, as in Azure.
            AzureWebJobsSERVICE_BUS_CONNECTION: through(bus.triggers),
          }),
    },
    async stop() {
      await Promise.all([blobs, redis, bus?.publisher, bus?.triggers].map((proxy) => proxy?.stop()));
    },
  };
}

/** `FAULTS_LOGS=folder` keeps the logs of the stack's parts, to find the cause of a failure. */
function keepLogs(folder: string): void {
  const to = process.env['FAULTS_LOGS'];
  if (to !== undefined)
    cpSync(path.join(folder, 'logs'), path.join(to, path.basename(folder)), { recursive: true });
}

/** Starts a stack in a folder of its own on free ports; the tenants are acme (paid), globex (free) and initech (free). */
export async function startFaultStack(options: FaultStackOptions = {}): Promise<FaultStack> {
  const appDir = options.release?.appDir ?? (await askForPart('app')).dir;
  // Tests kill Redis and Stripe, so the stack has its own.
  delete process.env['REDIS_URL'];
  delete process.env['STRIPE_SECRET_KEY'];
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-faults-'));
  const hostLog: string[] = [];
  const clockFile = path.join(folder, 'clock');
  writeFileSync(clockFile, '0');
  mkdirSync(path.join(folder, 'logs'), { recursive: true });
  const proxies = await startProxies(folder, options.withBusProxies ?? false);
  const stack = await startStack({
    folder,
    appDir,
    ...(options.release === undefined ? {} : { filling: options.release.filling }),
    durable: false,
    port: await findFreePort(),
    queues: {
      lockDurationMs: LOCK_MS,
      ...(proxies.bus === undefined ? {} : { duplicateDetectionWindowMs: null }),
    },
    settings: {
      NODE_OPTIONS: `--import ${path.join(import.meta.dirname, 'clock-preload.ts')}`,
      FAULTS_CLOCK_FILE: clockFile,
      ...proxies.settings,
      ...options.settings,
    },
    onHostOutput: (text) => hostLog.push(text),
  });
  const client = new HttpClient(stack.baseUrl);
  const open = (url: string): postgres.Sql =>
    postgres(url, { max: 3, onnotice: () => undefined, connect_timeout: 5 });
  const sql = {
    core: open(stack.adminUrls.core),
    billing: open(stack.adminUrls.billing),
    analytics: open(stack.adminUrls.analytics),
  };
  const stop = async (): Promise<void> => {
    client.close();
    await Promise.all(Object.values(sql).map((pool) => pool.end({ timeout: 1 })));
    await stack.stop();
    await proxies.stop();
    keepLogs(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const tenants = await addTenants(stack, client, sql);
    const pids = new Set<number>();
    const faultStack = {
      stack,
      client,
      tenants,
      sql,
      bus: proxies.bus,
      blobs: proxies.blobs,
      redis: proxies.redis,
      pids,
      hostLog,
      setClock(offsetMs: number) {
        writeFileSync(clockFile, String(offsetMs));
        if (stack.host.pid !== undefined) process.kill(stack.host.pid, 'SIGUSR2');
      },
      stop,
    };
    notePids(faultStack);
    return faultStack;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Adds the stack's present processes to `pids`. */
export function notePids({ stack, pids }: Pick<FaultStack, 'stack' | 'pids'>): void {
  const { host, broker, azurite, postgres: server, redis, stripe } = stack;
  for (const part of [host, broker, azurite.process, server.process, redis?.process, stripe]) {
    if (part?.pid !== undefined) pids.add(part.pid);
  }
}

async function addTenants(
  stack: Stack,
  client: HttpClient,
  sql: FaultStack['sql'],
): Promise<readonly [LoadTenant, ...LoadTenant[]]> {
  await sql.billing`update billing_plans
    set limits = (select jsonb_object_agg(key, ${AMPLE}::int) from jsonb_each(limits)) where plan_id = 'free'`;
  const made = await client.ask({
    method: 'POST',
    path: '/api/v1/platform/tenants',
    key: stack.keys.operator,
    body: { tenant_id: 'initech', name: 'Initech', plan_id: 'free' },
  });
  if (made.status !== 201) throw new Error(`no tenant: ${JSON.stringify(made.body)}`);
  await sql.billing`update free_tier_usage set usage_limit = ${AMPLE}`;
  await sql.core`update api_keys set rate_limit_per_hour = ${AMPLE}, rate_limit_per_day = ${AMPLE}
    where tenant_id = 'initech'`;
  const { acme, globex } = stack.keys.tenants;
  return [
    { tenantId: 'acme', key: acme.writer, free: false },
    { tenantId: 'globex', key: globex.writer, free: true },
    { tenantId: 'initech', key: made.body.owner_api_key, free: true },
  ];
}

/** Runs a job as an operator, as of a moment after the host's clock. Waits while a timer runs it. */
export async function runJob(faults: FaultStack, job: string, asOf: Date): Promise<Record<string, unknown>> {
  const { status, body } = await until(
    () =>
      faults.client.ask({
        method: 'POST',
        path: `/api/v1/platform/jobs/${job}/runs`,
        key: faults.stack.keys.operator,
        body: { as_of: asOf.toISOString() },
      }),
    (answer) => answer.status !== 409,
  );
  if (status !== 200) throw new Error(`${job} answered ${status}: ${JSON.stringify(body)}`);
  return body;
}
