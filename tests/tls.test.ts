import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { startPostgres, type PostgresServer } from '../dev/postgres/start-postgres.ts';
import { findFreePort } from '../dev/processes/free-port.ts';
import { findRedisServer } from '../dev/redis/find-redis.ts';
import { openServices } from '../functions/services.ts';
import { Cache } from '../shared/platform/cache/cache.ts';
import { caCertificates } from '../shared/platform/config/connection-settings.ts';
import { readSettings } from '../shared/platform/config/settings.ts';
import { faultOf } from '../shared/platform/db/errors.ts';
import { openPool } from '../shared/platform/db/pool.ts';
import { withConnection } from '../tools/migrate/connect.ts';
import './harness/remote-names.ts';
import { certifySelf, makeAuthority, type Certified } from './harness/certificates.ts';

// Both servers are on this machine. Their names are those of other machines, and lead here.
const HOST = 'server.remote.test';
const OTHER_HOST = 'other.remote.test';

const authority = makeAuthority('a private authority');
const CA = [authority.certificate];
const RIGHT = authority.certify({ name: 'server', hosts: [HOST, 'localhost'] });
const BY_ADDRESS = authority.certify({ name: 'server', hosts: ['127.0.0.1'] });
const EXPIRED = authority.certify({ name: 'server', hosts: [HOST], days: [-3, -2] });
const SELF_SIGNED = certifySelf({ name: 'server', hosts: [HOST] });

const folder = mkdtempSync(path.join(tmpdir(), 'comply-tls-'));
const dataDir = path.join(folder, 'postgres');
let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres({
    dataDir,
    logFile: path.join(folder, 'log'),
    password: 'test',
    durable: false,
  });
});
afterAll(async () => {
  await server.stop('immediate');
  rmSync(folder, { recursive: true, force: true });
});

/** Lets PostgreSQL offer TLS with this certificate from now on; without one it offers none. */
async function offer(certified: Certified | undefined): Promise<void> {
  if (certified !== undefined) {
    const { uid, gid } = statSync(path.join(dataDir, 'PG_VERSION'));
    for (const [name, text] of [
      ['server.crt', certified.certificate],
      ['server.key', certified.key],
    ] as const) {
      const file = path.join(dataDir, name);
      writeFileSync(file, text, { mode: 0o600 });
      chownSync(file, uid, gid);
    }
  }
  await withConnection(server.adminUrl(), async (client) => {
    const [before] = (await client.query('select pg_conf_load_time() as at')).rows;
    await client.query(`alter system set ssl = ${certified === undefined ? 'off' : 'on'}`);
    await client.query('select pg_reload_conf()');
    // The server reads its configuration a moment later.
    await vi.waitFor(async () => {
      const [now] = (await client.query('select pg_conf_load_time() as at')).rows;
      expect(now.at).not.toEqual(before.at);
    });
  });
  // A new server process has it for certain once the parent has: the reload of this session is not the parent's.
  await vi.waitFor(() =>
    withConnection(server.adminUrl(), async (client) => {
      expect((await client.query('show ssl')).rows).toEqual([
        { ssl: certified === undefined ? 'off' : 'on' },
      ]);
    }),
  );
}

function urlAt(host: string, parameters = ''): string {
  const url = new URL(server.adminUrl());
  url.hostname = host;
  url.search = parameters;
  return url.toString();
}

const IS_ENCRYPTED = 'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()';

/** The two clients that the app and its tools have. */
const CLIENTS = [
  [
    'the app',
    async (url: string, extraCa: readonly string[]): Promise<unknown> => {
      const pool = openPool({ url, max: 1, applicationName: 'tls', prepare: false, extraCa });
      try {
        return (await pool.unsafe(IS_ENCRYPTED))[0];
      } finally {
        await pool.end({ timeout: 0 });
      }
    },
  ],
  [
    'the migrator',
    (url: string, extraCa: readonly string[]): Promise<unknown> =>
      withConnection(url, async (client) => (await client.query(IS_ENCRYPTED)).rows[0], extraCa),
  ],
] as const;

describe.each(CLIENTS)('PostgreSQL over a network: %s', (_name, ask) => {
  test('is encrypted, and the server’s certificate is checked: its authority and its name', async () => {
    await offer(RIGHT);
    expect(await ask(urlAt(HOST), CA)).toEqual({ ssl: true, version: 'TLSv1.3' });
    await expect(ask(urlAt(OTHER_HOST), CA)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    await expect(ask(urlAt(HOST), [])).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    const stranger = makeAuthority('a private authority').certificate;
    await expect(ask(urlAt(HOST), [stranger])).rejects.toMatchObject({
      code: expect.stringMatching(/^UNABLE_TO_VERIFY_LEAF_SIGNATURE$|^CERT_SIGNATURE_FAILURE$/),
    });
  });

  test.each(['sslmode=require', 'sslmode=verify-ca', 'ssl=false', 'ssl=0', 'sslmode=require&ssl=0'])(
    'no parameter of the URL turns that off: %s',
    async (parameters) => {
      await offer(RIGHT);
      await expect(ask(urlAt(HOST, parameters), [])).rejects.toMatchObject({
        code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      });
      expect(await ask(urlAt(HOST, parameters), CA)).toMatchObject({ ssl: true });
    },
  );

  test('nor does Node’s own switch for it', async () => {
    await offer(RIGHT);
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(ask(urlAt(HOST), [])).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    await expect(ask(urlAt(OTHER_HOST), CA)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  test('a certificate that signs itself is refused, and one that has expired', async () => {
    await offer(SELF_SIGNED);
    for (const ca of [[], CA])
      await expect(ask(urlAt(HOST), ca)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await offer(EXPIRED);
    await expect(ask(urlAt(HOST), CA)).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED' });
  });

  test('a server that offers no encryption is refused', async () => {
    await offer(undefined);
    await expect(ask(urlAt(HOST), CA)).rejects.toThrow();
    expect(await ask(urlAt('127.0.0.1'), CA)).toMatchObject({ ssl: false });
  });

  test('an address is checked as an address, not as the name localhost', async () => {
    await offer(BY_ADDRESS);
    expect(await ask(urlAt('127.0.0.1', 'sslmode=verify-full'), CA)).toMatchObject({ ssl: true });
    await offer(RIGHT);
    await expect(ask(urlAt('127.0.0.1', 'sslmode=verify-full'), CA)).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });
});

describe('npm run migrate', () => {
  const REMOTE_NAMES = new URL('harness/remote-names.ts', import.meta.url).href;
  const run = async (environment: Readonly<Record<string, string>>): Promise<string> => {
    const url = urlAt(HOST);
    const settings = { MIGRATE_CORE_URL: url, MIGRATE_BILLING_URL: url, MIGRATE_ANALYTICS_URL: url };
    const ran = await promisify(execFile)(
      process.execPath,
      ['--import', REMOTE_NAMES, 'tools/migrate/main.ts', '--check'],
      {
        env: { ...process.env, ...settings, ...environment },
      },
    ).catch((error: unknown) => error as { stdout: string; stderr: string });
    return ran.stdout + ran.stderr;
  };

  test('reads the private authority from EXTRA_CA_CERTS, and says what it refuses', async () => {
    await offer(RIGHT);
    expect(await run({ EXTRA_CA_CERTS: authority.certificate.replaceAll('\n', '\\n') })).toContain(
      'core: lacks',
    );
    expect(await run({ EXTRA_CA_CERTS: '' })).toContain('unable to verify the first certificate');
    expect(await run({ EXTRA_CA_CERTS: RIGHT.key })).toMatch(/^EXTRA_CA_CERTS: must be PEM certificates/);
  });
});

describe('Redis over a network', () => {
  let redis: ChildProcess | undefined;
  const password = 'hunter2';
  afterAll(() => void redis?.kill('SIGKILL'));

  /** Starts a Redis that speaks only TLS. */
  async function startRedis(certified: Certified): Promise<number> {
    redis?.kill('SIGKILL');
    const binary = findRedisServer();
    if (binary === undefined) throw new Error('no redis-server on this machine');
    const port = await findFreePort();
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text, { mode: 0o600 });
      return path.join(folder, name);
    };
    const config = [
      'bind 127.0.0.1',
      'port 0',
      `tls-port ${port}`,
      `tls-cert-file ${file('redis.crt', certified.certificate)}`,
      `tls-key-file ${file('redis.key', certified.key)}`,
      `tls-ca-cert-file ${file('redis-ca.crt', authority.certificate)}`,
      'tls-auth-clients no',
      `requirepass ${password}`,
      'save ""',
      `dir ${folder}`,
      '',
    ];
    redis = spawn(binary, ['-'], { stdio: ['pipe', 'ignore', 'ignore'] });
    redis.stdin?.end(config.join('\n'));
    for (let tries = 0; tries < 500; tries += 1) {
      const up = await new Promise<boolean>((resolve) => {
        const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => resolve(true));
        socket.on('error', () => resolve(false)).on('secureConnect', () => socket.destroy());
      });
      if (up) return port;
      await delay(10);
    }
    throw new Error('this Redis does not start with TLS');
  }

  async function ping(url: string, extraCa: readonly string[]): Promise<number | undefined> {
    const cache = new Cache(url, '', { extraCa });
    try {
      return await cache.ping();
    } finally {
      await cache.close();
    }
  }

  test('is used when its certificate is right, and counts as unavailable otherwise, with the reason in the log', async () => {
    const said: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line));
    const port = await startRedis(RIGHT);
    const at = (host: string, scheme = 'rediss'): string => `${scheme}://:${password}@${host}:${port}`;
    expect(await ping(at(HOST), CA)).toBeDefined();
    // The client compares the scheme as it is written, and the setting does not.
    expect(await ping(at(HOST, 'REDISS'), CA)).toBeDefined();
    expect(said).toEqual([]);
    expect(await ping(at(OTHER_HOST), CA)).toBeUndefined();
    expect(await ping(at(HOST), [])).toBeUndefined();
    const selfSigned = await startRedis(SELF_SIGNED);
    expect(await ping(`rediss://:${password}@${HOST}:${selfSigned}`, CA)).toBeUndefined();
    expect(said.map((line) => JSON.parse(line))).toEqual(
      [
        [OTHER_HOST, port, 'ERR_TLS_CERT_ALTNAME_INVALID'],
        [HOST, port, 'SELF_SIGNED_CERT_IN_CHAIN'], // it sends its authority's certificate too
        [HOST, selfSigned, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      ].map(([host, itsPort, code]) => ({
        level: 'error',
        event: 'server-certificate-refused',
        host: `${host}:${itsPort}`,
        code,
      })),
    );
    expect(said.join('')).not.toContain(password);
  });
});

test('a request gets a 503 while PostgreSQL’s certificate is refused, and the log says why', async () => {
  await offer(RIGHT);
  const said: string[] = [];
  for (const level of ['warn', 'error'] as const)
    vi.spyOn(console, level).mockImplementation((line: string) => void said.push(line));
  const url = urlAt(OTHER_HOST);
  const settings = readSettings({
    DEPLOYMENT_ENVIRONMENT: 'prod',
    CORE_DATABASE_URL: url,
    BILLING_DATABASE_URL: url,
    ANALYTICS_DATABASE_URL: url,
    CORE_CROSS_TENANT_DATABASE_URL: url,
    BILLING_CROSS_TENANT_DATABASE_URL: url,
    ANALYTICS_CROSS_TENANT_DATABASE_URL: url,
    SERVICE_BUS_CONNECTION: 'Endpoint=sb://bus.example.com;SharedAccessKeyName=n;SharedAccessKey=k=',
    BLOB_CONNECTION: 'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k==;EndpointSuffix=example.com',
    EXTRA_CA_CERTS: authority.certificate,
    API_KEY_PEPPER: 'p'.repeat(32),
    KEY_ENCRYPTION_KEYS: JSON.stringify({ '1': Buffer.alloc(32, 1).toString('base64') }),
  });
  const services = openServices(settings);
  onTestFinished(() => services.close());
  const refusal = await services.crossTenant.core.query('select 1').catch((error: unknown) => error);
  expect(faultOf(refusal)).toBe('unavailable');
  await vi.waitFor(() => expect(said.join('\n')).toContain('server-certificate-refused'));
  expect(said.join('\n')).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  expect(said.join('\n')).not.toContain(':test@');
});

describe('the authorities of EXTRA_CA_CERTS', () => {
  test('are several certificates, with line ends or with \\n', () => {
    const two = authority.certificate + makeAuthority('another').certificate;
    expect(caCertificates.parse(two)).toHaveLength(2);
    expect(caCertificates.parse(two.replaceAll('\n', '\\n'))).toEqual(caCertificates.parse(two));
  });

  test.each([
    ['a key', authority.certify({ name: 'x', hosts: [] }).key],
    ['a certificate with a key', RIGHT.certificate + RIGHT.key],
    ['a server’s certificate', RIGHT.certificate],
    ['no certificate', 'x'],
    ['a broken one', authority.certificate.replace(/[A-Za-z]{8}/, 'AAAAAAAA')],
  ])('are refused: %s', (_what, text) => {
    expect(caCertificates.safeParse(text).success).toBe(false);
  });
});
