import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { findFreePort } from '../../dev/stack/processes/free-port.ts';
import { writePorts } from '../../dev/stack/ports.ts';
import { openSecrets } from '../../dev/stack/secrets.ts';
import { startStack, type Stack } from '../../dev/stack/start-stack.ts';
import { askForPart } from '../harness/ask.ts';
import { until } from '../harness/app.ts';
import { HttpClient } from './client.ts';
import type { LoadTenant } from './load.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** How long a message stays locked that a dead host held; in Azure it is five minutes. */
export const LOCK_MS = 4_000;
/** An allowance that no load here spends. */
const AMPLE = 1_000_000;

/** The wires between the host and the broker, to be held at an exact moment. */
export interface BusWires {
  /** The app's own: what it publishes. */
  readonly publisher: TcpProxy;
  /** The host's: what its queue triggers receive and settle. */
  readonly triggers: TcpProxy;
}

/** A stack of processes to break, with several tenants. */
export interface FaultStack {
  readonly stack: Stack;
  readonly client: HttpClient;
  readonly tenants: readonly [LoadTenant, ...LoadTenant[]];
  /** The superuser's connections; made anew after PostgreSQL was away. */
  readonly sql: Readonly<Record<'core' | 'billing' | 'analytics', postgres.Sql>>;
  readonly wires: BusWires | undefined;
  /** Every process that ever belonged to the stack. */
  readonly pids: Set<number>;
  /** What parts ended unasked, and what the host said, for a failure's text. */
  readonly events: string[];
  /** Sets the host's clock; 0 is the machine's. */
  setClock(offsetMs: number): void;
  stop(): Promise<void>;
}

/** What a scenario needs beside the stack. */
export interface FaultStackOptions {
  /** Puts proxies between the host and the broker, and turns the broker's duplicate detection off: consumers stand alone. */
  readonly withWires?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
}

/** The bus as the host is to see it, through proxies. */
async function layWires(folder: string): Promise<{ wires: BusWires; settings: Record<string, string> }> {
  const { brokerKey } = openSecrets(folder);
  const port = await findFreePort();
  writePorts(folder, { broker: port });
  const wires = { publisher: await startTcpProxy(port), triggers: await startTcpProxy(port) };
  const through = (proxy: TcpProxy): string =>
    `Endpoint=sb://127.0.0.1:${proxy.port};SharedAccessKeyName=local;SharedAccessKey=${brokerKey};UseDevelopmentEmulator=true;`;
  return {
    wires,
    settings: {
      SERVICE_BUS_CONNECTION: through(wires.publisher),
      // The triggers' binding looks here first, as in Azure.
      AzureWebJobsSERVICE_BUS_CONNECTION: through(wires.triggers),
    },
  };
}

/** Starts a stack in a folder of its own on free ports; the tenants are acme (paid), globex (free) and initech (free). */
export async function startFaultStack(options: FaultStackOptions = {}): Promise<FaultStack> {
  const { dir: appDir } = await askForPart('app');
  // A Redis that is to be killed must be the stack's own.
  delete process.env['REDIS_URL'];
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-faults-'));
  const events: string[] = [];
  const clockFile = path.join(folder, 'clock');
  writeFileSync(clockFile, '0');
  mkdirSync(path.join(folder, 'logs'), { recursive: true });
  const laid = options.withWires === true ? await layWires(folder) : undefined;
  const stack = await startStack({
    folder,
    appDir,
    durable: false,
    port: await findFreePort(),
    queues: { lockDurationMs: LOCK_MS, ...(laid === undefined ? {} : { duplicateDetectionWindowMs: null }) },
    settings: {
      NODE_OPTIONS: `--import ${path.join(import.meta.dirname, 'clock-preload.ts')}`,
      FAULTS_CLOCK_FILE: clockFile,
      ...laid?.settings,
      ...options.settings,
    },
    onEvent: (text) => events.push(text),
    onHostOutput: (text) => events.push(text.trimEnd()),
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
    await laid?.wires.publisher.stop();
    await laid?.wires.triggers.stop();
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
      wires: laid?.wires,
      pids,
      events,
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

/** Remembers the processes that the stack has now. */
export function notePids({ stack, pids }: Pick<FaultStack, 'stack' | 'pids'>): void {
  const { host, broker, azurite, postgres: server, redis } = stack;
  for (const part of [host, broker, azurite.process, server.process, redis?.process]) {
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

/** Runs a job by the operator's hand, as of a moment ahead of the host's clock; waits while a timer runs it. */
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
