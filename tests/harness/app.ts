import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll } from 'vitest';
import { startBroker, type Broker } from '../../dev/broker/broker.ts';
import { startFunctionsHost, type FunctionsHost } from '../../dev/host/host.ts';
import { generateApiKey, hashApiKey, pepperId } from '../../shared/platform/auth/api-key.ts';
import { PERMISSION_SETS, type Permission } from '../../shared/platform/auth/permissions.ts';
import { QUEUES, type QueueDefinition } from '../../shared/platform/bus/queues.ts';
import { readSettings, type Settings } from '../../shared/platform/config/settings.ts';
import { openServices, type Services } from '../../functions/services.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { seedRoles } from '../../shared/domains/identity/roles/seed-roles.ts';
import { askForPart } from './ask.ts';
import { openBlobAccount } from './blobs.ts';
import { openDatabases, type TestDatabase } from './databases.ts';
import { openRedis } from './redis.ts';
import { seedReferenceRows } from './reference-rows.ts';
import { watchStatements } from './watch-statements.ts';

/** The keys of one tenant. */
export interface TenantKeys {
  readonly writer: string;
  readonly reader: string;
  readonly owner: string;
}

/** An answer, for tests. */
export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  // A test fails if an expected member is missing. Narrower types would only move the fault.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

/** The app on real parts, with tenants acme (professional) and globex (free) and an operator. */
export interface TestApp {
  readonly baseUrl: string;
  readonly keys: { readonly acme: TenantKeys; readonly globex: TenantKeys; readonly operator: string };
  readonly settings: Settings;
  /** The environment that they were read from, for a command that the test starts. */
  readonly environment: Readonly<Record<string, string>>;
  /** The app's services, opened by the test's process, to call domain functions. */
  readonly services: Services;
  /** Connections of the superuser, whom row security does not bind. */
  readonly admin: {
    readonly core: postgres.Sql;
    readonly billing: postgres.Sql;
    readonly analytics: postgres.Sql;
  };
  readonly databases: {
    readonly core: TestDatabase;
    readonly billing: TestDatabase;
    readonly analytics: TestDatabase;
  };
  readonly broker: Broker;
  readonly host: FunctionsHost;
  /** All lines that the host and the app have logged so far. */
  readonly logLines: readonly string[];
  /** All tenant statements that this process has sent so far, the app's and the test's. */
  readonly tenantStatements: ReadonlySet<string>;
  /** One request: `app.request('POST', '/api/v1/mappings', { key, body, headers })`. */
  request(method: string, path: string, options?: RequestOptions): Promise<TestAnswer>;
  /** Makes a key of a tenant with exactly these permissions. */
  makeKey(
    tenantId: string,
    permissions: readonly Permission[],
    columns?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
}

/** A request's variable parts. `body` is sent as JSON, `raw` unchanged. */
export interface RequestOptions {
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Options of a test app. */
export interface TestAppOptions {
  /** Default: this repository's app. */
  readonly app?: 'app' | 'fixture-app';
  /** Without a Redis. */
  readonly withoutRedis?: boolean;
  /** Settings that replace the harness's, for example another Redis. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Changes the whole environment, for example the port of a part behind a proxy. */
  readonly adapt?: (environment: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  /** For example shorter locks or other delivery counts. */
  readonly queues?: readonly QueueDefinition[];
  /** Triggers that do not run. Default: `['timer']`, so that tests decide when jobs run. */
  readonly silent?: readonly ('http' | 'serviceBus' | 'timer')[];
}

/**
 * Starts the built app in this process, with databases, blobs, Redis and a broker that only this test file uses. Call it at
 * the top level of the file. It stops with the file.
 */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const [databases, blobs, redis, facts] = await Promise.all([
    openDatabases(),
    openBlobAccount(),
    options.withoutRedis === true ? undefined : openRedis(),
    askForPart(options.app ?? 'app'),
  ]);
  const sas = { keyName: 'test', key: randomBytes(32).toString('base64') };
  const broker = await startBroker({ port: 0, dataDir: null, sas, queues: options.queues ?? QUEUES });
  const usual: Record<string, string> = {
    DEPLOYMENT_ENVIRONMENT: 'local',
    CORE_DATABASE_URL: databases.core.app,
    BILLING_DATABASE_URL: databases.billing.app,
    ANALYTICS_DATABASE_URL: databases.analytics.app,
    CORE_CROSS_TENANT_DATABASE_URL: databases.core.crossTenant,
    BILLING_CROSS_TENANT_DATABASE_URL: databases.billing.crossTenant,
    ANALYTICS_CROSS_TENANT_DATABASE_URL: databases.analytics.crossTenant,
    SERVICE_BUS_CONNECTION: broker.connectionString,
    BLOB_CONNECTION: blobs.connectionString,
    REDIS_URL: redis?.url ?? '',
    REDIS_KEY_PREFIX: redis?.keyPrefix ?? '',
    API_KEY_PEPPER: randomBytes(32).toString('hex'),
    KEY_ENCRYPTION_KEYS: JSON.stringify({ '1': randomBytes(32).toString('base64') }),
    STRIPE_WEBHOOK_SECRETS: `whsec_${randomBytes(16).toString('hex')}`,
    ...options.settings,
  };
  const environment = options.adapt?.(usual) ?? usual;
  const settings = readSettings(environment);
  const services = openServices(settings);
  const admin = {
    core: postgres(databases.core.admin, { max: 2, onnotice: () => undefined }),
    billing: postgres(databases.billing.admin, { max: 2, onnotice: () => undefined }),
    analytics: postgres(databases.analytics.admin, { max: 2, onnotice: () => undefined }),
  };
  const makeKey: TestApp['makeKey'] = (tenantId, permissions, columns = {}) =>
    insertKey(admin.core, settings.API_KEY_PEPPER, tenantId, permissions, columns);
  const keys = await seedTenants(admin, services, makeKey);
  await seedReferenceRows(admin.core);
  const logLines = collectLog();
  const host = await startFunctionsHost({
    appDir: ownCopy(facts.dir),
    port: 0,
    settings: { ...environment },
    stateDir: `${facts.dir}/state-${newId()}`,
    disable: { kinds: options.silent ?? ['timer'] },
    log: ({ message }) => void logLines.push(message),
  });
  const baseUrl = `http://127.0.0.1:${host.port}`;
  afterAll(async () => {
    await host.stop();
    await services.close();
    await Promise.all(Object.values(admin).map((sql) => sql.end({ timeout: 2 })));
    await broker.stop();
    // Whatever a file tests: no credential is ever in a line that the host or the app logs.
    const told = logLines.filter((line) => CREDENTIAL.test(line));
    if (told.length > 0) throw new Error(`a credential is in the log: ${told[0]?.replace(CREDENTIAL, '…')}`);
  });
  // Registered after that hook: hooks run in reverse order, and this one needs the databases.
  const tenantStatements = watchStatements(Object.values(admin));
  return {
    baseUrl,
    keys,
    settings,
    environment,
    services,
    admin,
    databases,
    broker,
    host,
    logLines,
    tenantStatements,
    makeKey,
    request: (method, path, sent = {}) => ask(baseUrl, method, path, sent),
  };
}

/** A key, a session's token, a webhook's secret, a JWT, or a password's hash. */
const CREDENTIAL =
  /cai_[a-z]+_[a-z0-9]{20}_[a-z0-9]{40}|cas_[a-z0-9]{20}_[a-z0-9]{40}|whsec_[\w+/=]{20,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|\$argon2/;

/** Collects the app's console output, from which Azure's host takes an app's log. */
function collectLog(): string[] {
  const lines: string[] = [];
  for (const level of ['log', 'info', 'warn', 'error'] as const) {
    const write = console[level].bind(console);
    console[level] = (...parts: unknown[]) => {
      lines.push(parts.map(String).join(' '));
      write(...parts);
    };
    afterAll(() => void (console[level] = write));
  }
  return lines;
}

async function ask(baseUrl: string, method: string, path: string, sent: RequestOptions): Promise<TestAnswer> {
  const headers = new Headers(sent.headers);
  if (sent.key !== undefined) headers.set('authorization', `Bearer ${sent.key}`);
  const payload = sent.raw ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body));
  if (payload !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json');
  const response = await fetch(path.startsWith('http') ? path : `${baseUrl}${path}`, {
    method,
    headers,
    redirect: 'manual',
    ...(payload === undefined ? {} : { body: payload }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== '' ? JSON.parse(text) : text,
  };
}

async function insertKey(
  core: postgres.Sql,
  pepper: string,
  tenantId: string,
  permissions: readonly Permission[],
  columns: Readonly<Record<string, unknown>>,
): Promise<string> {
  const key = generateApiKey('local');
  const row = {
    tenant_id: tenantId,
    key_id: key.keyId,
    key_name: 'test',
    key_hash: hashApiKey(pepper, key),
    pepper_id: pepperId(pepper),
    key_prefix: key.prefix,
    permissions: core.json([...permissions]),
    // High limits. Tests of rate limits set their own.
    rate_limit_per_hour: 1_000_000,
    rate_limit_per_day: 10_000_000,
    ...columns,
  };
  await core`insert into api_keys ${core(row as never)}`;
  return key.credential;
}

async function seedTenants(
  admin: TestApp['admin'],
  services: Services,
  makeKey: TestApp['makeKey'],
): Promise<TestApp['keys']> {
  await admin.core`insert into tenants (tenant_id, name, plan_id, has_quota) values
    ('platform', 'Platform', 'enterprise', false), ('acme', 'Acme', 'professional', false), ('globex', 'Globex', 'free', true)`;
  await services.crossTenant.core.transaction((transaction) => seedRoles(transaction));
  const tenant = async (tenantId: string): Promise<TenantKeys> => {
    const dataKeyId = await services.crossTenant.core.transaction((transaction) =>
      services.dataKeys.create(transaction, tenantId),
    );
    await admin.core`update tenants set data_key_id = ${dataKeyId} where tenant_id = ${tenantId}`;
    const [writer, reader, owner] = await Promise.all([
      makeKey(tenantId, PERMISSION_SETS.writer),
      makeKey(tenantId, PERMISSION_SETS.reader),
      makeKey(tenantId, PERMISSION_SETS.owner),
    ]);
    return { writer, reader, owner };
  };
  const [acme, globex, operator] = await Promise.all([
    tenant('acme'),
    tenant('globex'),
    makeKey('platform', PERMISSION_SETS.operator),
  ]);
  return { acme, globex, operator };
}

let started = 0;

/**
 * A second app of the same process gets its own copy of the files. A module is evaluated once for each path, so a lazily loaded
 * part would otherwise be the first app's. The copy has hard links, so it needs no space.
 */
function ownCopy(dir: string): string {
  started += 1;
  if (started === 1) return dir;
  const copy = `${dir}-${newId()}`;
  linkTree(dir, copy);
  return copy;
}

function linkTree(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name.startsWith('state-')) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkTree(source, target);
    else linkSync(source, target);
  }
}

/** Repeats `ask` until `check` is true, up to a deadline. For asynchronous effects. Fails with the last answer. */
export async function until<T>(
  read: () => Promise<T>,
  check: (value: T) => boolean,
  seconds = 15,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await read();
    if (check(value)) return value;
    if (Date.now() > deadline)
      throw new Error(`not within ${seconds} s; last seen: ${JSON.stringify(value).slice(0, 1000)}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
