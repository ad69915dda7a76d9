import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openServices, type Services } from '../functions/services.ts';
import { checkReadiness, type Readiness } from '../shared/domains/operations/health.ts';
import type { Settings } from '../shared/platform/config/settings.ts';
import { UnsupportedServer } from '../shared/platform/db/server-version.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus'] });

/** A port without a server. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A proxy to the real server that changes the version in its greeting. Collects what the server receives. */
async function serverThatSays(major: string, port: number): Promise<{ port: number; received: string[] }> {
  const received: string[] = [];
  const server = createServer((client) => {
    const real = connect(port, '127.0.0.1');
    client.on('data', (chunk) => void received.push(chunk.toString('latin1'))).pipe(real);
    real.on('data', (chunk) => {
      const said = chunk.toString('latin1').replace(/(server_version\0)\d\d/, `$1${major}`);
      client.write(Buffer.from(said, 'latin1'));
    });
    for (const [one, other] of [
      [client, real],
      [real, client],
    ] as const)
      one.on('error', () => undefined).on('close', () => other.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, received };
}

const atPort = (url: string, port: number): string => {
  const moved = new URL(url);
  moved.port = String(port);
  return moved.href;
};

function open(settings: Partial<Settings>): Services {
  const services = openServices({ ...app.settings, ...settings });
  onTestFinished(() => services.close());
  return services;
}

const DATABASES = ['CORE', 'BILLING', 'ANALYTICS'] as const;

it('connects ahead of the first request, to the core database with both roles and to Redis', async () => {
  const services = openServices(app.settings);
  onTestFinished(() => services.close());
  const count = async (): Promise<number> => {
    const [row] = await app.admin.core<{ sessions: number }[]>`
      select count(*)::int as sessions from pg_stat_activity
       where datname = current_database() and application_name ~ '^comply-ai:core(-cross-tenant)?@'`;
    return row?.sessions ?? 0;
  };
  const before = await count();
  services.connectAhead();
  await until(count, (sessions) => sessions >= before + 2);
  expect(await services.cache.ping()).toBeDefined();
});

it('connects ahead without an error while everything is unavailable', async () => {
  const port = await closedPort();
  const services = openServices({
    ...app.settings,
    CORE_DATABASE_URL: `postgres://comply_app:pw@127.0.0.1:${port}/comply-ai-core`,
    CORE_CROSS_TENANT_DATABASE_URL: `postgres://comply_jobs:pw@127.0.0.1:${port}/comply-ai-core`,
    REDIS_URL: `redis://127.0.0.1:${port}`,
  });
  onTestFinished(() => services.close());
  services.connectAhead();
  await expect(services.crossTenant.core.query('select 1')).rejects.toThrow();
});

describe('readiness', () => {
  it.each([
    ['CORE', 'unhealthy'],
    ['BILLING', 'unhealthy'],
    ['ANALYTICS', 'degraded'],
  ] as const)('is, with the %s database gone, %s', async (name, status) => {
    const url = app.settings[`${name}_CROSS_TENANT_DATABASE_URL`];
    const gone = atPort(url, await closedPort());
    const services = open({ [`${name}_CROSS_TENANT_DATABASE_URL`]: gone });
    const unwellOf = ({ dependencies }: Readiness) =>
      dependencies.filter((part) => part.status !== 'healthy');
    // The first probe also opens all other connections, which can be slow on a busy machine.
    const answer = await until(
      () => checkReadiness(services),
      (seen) => unwellOf(seen).length === 1,
    );
    expect(unwellOf(answer)).toEqual([{ name: name.toLowerCase(), status: 'unhealthy', latency_ms: null }]);
    expect(answer.status).toBe(status);
  });
});

describe('a PostgreSQL before 16', () => {
  it.each(DATABASES)(
    'is refused as %s, and readiness and the log name its version and the required one',
    async (name) => {
      const setting = `${name}_CROSS_TENANT_DATABASE_URL` as const;
      const url = app.settings[setting];
      const { port, received } = await serverThatSays('15', Number(new URL(url).port));
      const services = open({ [setting]: atPort(url, port) });
      const database = services.crossTenant[name.toLowerCase() as 'core'];
      const ask = () => database.query(`select 'asked'`, [], { short: true });
      const transact = () => database.transaction((transaction) => transaction.query(`select 'asked'`));
      const outcomes = [
        ...(await Promise.allSettled([ask(), ask(), transact()])),
        ...(await Promise.allSettled([ask()])),
      ];
      for (const outcome of outcomes)
        expect(outcome).toMatchObject({
          status: 'rejected',
          reason: expect.any(UnsupportedServer) as unknown,
        });
      // Not even a connection's first statement, when the server's version was still unknown.
      expect(received.filter((sent) => /asked|begin/.test(sent))).toEqual([]);
      const answer = await checkReadiness(services);
      const detail = expect.stringMatching(
        /^PostgreSQL 15\S* .*is not supported: 16 or later is needed$/,
      ) as string;
      expect(answer.dependencies).toContainEqual({
        name: name.toLowerCase(),
        status: 'unhealthy',
        latency_ms: null,
        detail,
      });
      expect(app.logLines.filter((line) => line.includes('postgres-too-old'))).toHaveLength(1);
    },
  );

  it('is refused, but 16 is accepted', async () => {
    const url = app.settings.CORE_CROSS_TENANT_DATABASE_URL;
    const { port } = await serverThatSays('16', Number(new URL(url).port));
    const services = open({ CORE_CROSS_TENANT_DATABASE_URL: atPort(url, port) });
    expect(await services.crossTenant.core.query('select 1 as one')).toEqual([{ one: 1 }]);
  });
});
