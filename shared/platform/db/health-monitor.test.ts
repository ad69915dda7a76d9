import postgres from 'postgres';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../../tests/harness/app.ts';
import { openDatabases } from '../../../tests/harness/databases.ts';
import { startTcpProxy, type TcpProxy } from '../../../tests/faults/tcp-proxy.ts';
import { openPool, type Pool } from './pool.ts';
import { openProbe } from './databases.ts';
import { faultOf } from './errors.ts';
import { GuardedPool } from './guarded-pool.ts';
import { HealthMonitor, type MonitorLimits } from './health-monitor.ts';
import { CrossTenantDatabase } from './tenant-database.ts';

const databases = await openDatabases();
const admin = postgres(databases.core.admin, { max: 1, onnotice: () => undefined });
afterAll(() => admin.end());

/** The longest time that a request may wait before it is rejected because its server is unavailable. */
const REJECTED_WITHIN_MS = 2_000;
const LIMITS: MonitorLimits = { slowMs: 600, probeMs: 700, retryMs: 100, lostMs: 60_000 };

interface Monitored {
  readonly database: CrossTenantDatabase;
  readonly wire: TcpProxy;
  readonly application: string;
}

let opened = 0;

/** A monitored pool of two connections through its own proxy. */
async function openMonitored(limits = LIMITS): Promise<Monitored> {
  const url = new URL(databases.core.crossTenant);
  const wire = await startTcpProxy(Number(url.port));
  url.port = String(wire.port);
  const application = `monitored-${++opened}`;
  const open = (applicationName: string, max: number) => (): Pool =>
    openPool({ url: url.href, max, applicationName, prepare: true });
  const monitor = new HealthMonitor(openProbe(open(`${application}-health`, 1), url.href), limits);
  const pool = new GuardedPool({ open: open(application, 1), max: 2 }, monitor);
  onTestFinished(async () => {
    await pool.end(0);
    await monitor.close();
    await wire.stop();
  });
  return { database: new CrossTenantDatabase(pool), wire, application };
}

const one = (database: CrossTenantDatabase): Promise<unknown> => database.query('select 1 as one');

/** Expects a rejection as unavailable, within the time. */
async function expectUnavailable(work: Promise<unknown>): Promise<void> {
  const begun = performance.now();
  await expect(work).rejects.toSatisfy((error) => faultOf(error) === 'unavailable');
  expect(performance.now() - begun).toBeLessThan(REJECTED_WITHIN_MS);
}

describe('a database server', { timeout: 20_000 }, () => {
  test('that stops answering makes all statements fail in time, and is used again when it is back', async () => {
    const { database, wire } = await openMonitored();
    await one(database);
    await admin`select 1`;
    wire.hold('up');
    await Promise.all(Array.from({ length: 20 }, () => expectUnavailable(one(database))));
    const begun = performance.now();
    await expectUnavailable(one(database));
    expect(performance.now() - begun).toBeLessThan(100);
    wire.release();
    await until(
      () => one(database).catch(() => undefined),
      (rows) => rows !== undefined,
    );
  });

  test('that stops answering before its first answer makes statements fail in time too', async () => {
    const { database, wire } = await openMonitored();
    wire.hold('up');
    const begun = performance.now();
    await expect(one(database)).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(REJECTED_WITHIN_MS);
  });

  test('that refuses connections makes all statements fail at once', async () => {
    const { database, wire } = await openMonitored();
    await one(database);
    await wire.refuse();
    const begun = performance.now();
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => one(database)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(0);
    expect(performance.now() - begun).toBeLessThan(REJECTED_WITHIN_MS);
    await wire.accept();
    await until(
      () => one(database).catch(() => undefined),
      (rows) => rows !== undefined,
    );
  });

  test('that is only slow gets the time that it needs', async () => {
    const { database } = await openMonitored();
    expect(await database.query('select 1 as one from pg_sleep(2)')).toEqual([{ one: 1 }]);
  });

  test('is used again when its connections hang while new ones work', async () => {
    const { database, wire } = await openMonitored({ ...LIMITS, probeMs: 60_000, lostMs: 1_000 });
    await one(database);
    wire.hold('up');
    const lost = expectUnavailable(one(database));
    await until(
      () => Promise.resolve(wire.waiting('up')),
      (bytes) => bytes > 0,
    );
    await lost;
    wire.release();
    expect(await one(database)).toEqual([{ one: 1 }]);
  });
});

describe('a transaction whose connection is cut', { timeout: 20_000 }, () => {
  const cut = (application: string) =>
    admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name like ${`${application}@%`}`;

  test('between two statements fails, and ends neither the process nor the pool', async () => {
    const { database, application } = await openMonitored();
    const work = database.transaction(async (transaction) => {
      await transaction.query('select 1');
      await cut(application);
      await until(
        () => admin`select 1 from pg_stat_activity where application_name like ${`${application}@%`}`,
        (sessions) => sessions.length === 0,
      );
      // Long enough that the driver has noticed. Otherwise it would send the next statement on a closed socket.
      await new Promise((resolve) => setTimeout(resolve, 50));
      return transaction.query('select 2');
    });
    await expect(work).rejects.toThrow();
    expect(await one(database)).toEqual([{ one: 1 }]);
  });

  test('before its commit fails the same way', async () => {
    const { database, application } = await openMonitored();
    const work = database.transaction(async (transaction) => {
      await transaction.query('select 1');
      await cut(application);
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    await expect(work).rejects.toThrow();
    expect(await one(database)).toEqual([{ one: 1 }]);
  });

  test('within a statement fails the same way', async () => {
    const { database, application } = await openMonitored();
    const work = database.transaction((transaction) => transaction.query('select pg_sleep(10)'));
    const fails = expect(work).rejects.toThrow();
    await until(
      () =>
        admin`select 1 from pg_stat_activity where application_name like ${`${application}@%`} and query ~ 'pg_sleep'`,
      (sessions) => sessions.length === 1,
    );
    await cut(application);
    await fails;
    expect(await one(database)).toEqual([{ one: 1 }]);
  });
});
