import postgres from 'postgres';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../../../tests/faults/tcp-proxy.ts';
import { until } from '../../../tests/harness/app.ts';
import { openDatabases } from '../../../tests/harness/databases.ts';
import { openProbe } from './databases.ts';
import { faultOf } from './errors.ts';
import { GuardedPool } from './guarded-pool.ts';
import { HealthMonitor, type MonitoredPool } from './health-monitor.ts';
import { openPool } from './pool.ts';
import { CrossTenantDatabase } from './tenant-database.ts';

const databases = await openDatabases();
const admin = postgres(databases.core.admin, { max: 2, onnotice: () => undefined });
afterAll(() => admin.end());

interface Opened {
  readonly database: CrossTenantDatabase;
  readonly pool: GuardedPool;
  /** The pool's methods that the health monitor calls. */
  readonly monitored: MonitoredPool;
  readonly application: string;
  readonly wire: TcpProxy;
}

let opened = 0;

async function open(max: number): Promise<Opened> {
  const url = new URL(databases.core.crossTenant);
  const wire = await startTcpProxy(Number(url.port));
  url.port = String(wire.port);
  const application = `guarded-${++opened}`;
  const openOne = () => openPool({ url: url.href, max: 1, applicationName: application, prepare: true });
  const monitor = new HealthMonitor(openProbe(openOne, url.href));
  let monitored: MonitoredPool | undefined;
  const addPool = monitor.addPool.bind(monitor);
  monitor.addPool = (pool) => {
    monitored = pool;
    addPool(pool);
  };
  const pool = new GuardedPool({ open: openOne, max }, monitor);
  onTestFinished(async () => {
    await pool.end(0);
    await monitor.close();
    await wire.stop();
  });
  if (monitored === undefined) throw new Error('the pool is not monitored');
  return { database: new CrossTenantDatabase(pool), pool, monitored, application, wire };
}

/** Returns the process id of the connection's backend, within some milliseconds. */
const SHORT = 'select pg_backend_pid() as pid, $1::int as n';
const short = (database: CrossTenantDatabase, n: number): Promise<{ pid: number; n: number }[]> =>
  database.query<{ pid: number; n: number }>(SHORT, [n], { short: true });

/** Takes a lock and holds it until the returned function is called. Other callers of the same lock wait. */
async function holdLock(key: number): Promise<() => Promise<void>> {
  const holder = await admin.reserve();
  await holder`select pg_advisory_lock(${key})`;
  return async () => {
    await holder`select pg_advisory_unlock(${key})`;
    holder.release();
  };
}

const waitingFor = (application: string) =>
  admin`select pid from pg_stat_activity where application_name like ${`${application}@%`} and wait_event_type = 'Lock'`;

describe('short statements', () => {
  test('sent at the same time share a connection, and each gets its own answer', async () => {
    const { database } = await open(4);
    await short(database, 0);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => short(database, n)));
    expect(answers.map(([row]) => row?.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(new Set(answers.map(([row]) => row?.pid)).size).toBe(1);
  });

  test('use another connection when one has its maximum of them', async () => {
    const { database } = await open(4);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => short(database, n)));
    expect(answers.map(([row]) => row?.n)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect(new Set(answers.map(([row]) => row?.pid)).size).toBe(3);
  });

  test('are separate transactions: when one fails, the others succeed', async () => {
    const { database } = await open(1);
    const fails = 'select 1 / $1::int as n';
    await database.query(fails, [1], { short: true });
    const outcomes = await Promise.allSettled([
      short(database, 1),
      database.query(fails, [0], { short: true }),
      short(database, 2),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});

describe('a transaction', () => {
  test('shares its connection with no other statement: short ones wait, or take another connection', async () => {
    const { database } = await open(1);
    await short(database, 0);
    const order: string[] = [];
    let beside: Promise<unknown> | undefined;
    await database.transaction(async (transaction) => {
      await transaction.query('select 1');
      beside = short(database, 1).then(() => order.push('beside'));
      await transaction.query('select 2');
      order.push('in');
    });
    await beside;
    expect(order).toEqual(['in', 'beside']);
  });

  test('gets its turn, also when short statements keep coming', async () => {
    const { database } = await open(1);
    let isDone = false;
    const load = Array.from({ length: 8 }, async () => {
      for (let n = 0; !isDone; n += 1) await short(database, n);
    });
    expect(await database.transaction((transaction) => transaction.query('select 1 as one'))).toEqual([
      { one: 1 },
    ]);
    isDone = true;
    await Promise.all(load);
  });
});

describe('a pool whose connections are replaced', () => {
  test('finishes what runs on the old ones, rejects what waits in the queue, and continues with new ones', async () => {
    const { database, monitored, application } = await open(1);
    const [before] = await short(database, 0);
    const unlock = await holdLock(4711);
    const runs = database.query('select pg_advisory_xact_lock($1::int)', [4711], { short: true });
    const behind = short(database, 1);
    await until(
      () => waitingFor(application),
      (rows) => rows.length === 1,
    );
    const queued = database.transaction((transaction) => transaction.query('select 1'));
    const rejected = expect(queued).rejects.toSatisfy((error) => faultOf(error) === 'unavailable');
    monitored.refresh();
    await rejected;
    const [after] = await short(database, 2);
    expect(after?.pid).not.toBe(before?.pid);
    await unlock();
    await runs;
    expect(await behind).toMatchObject([{ pid: before?.pid, n: 1 }]);
  });

  test('rejects at once all statements that share a dropped connection', async () => {
    const { database, monitored, wire } = await open(1);
    await short(database, 0);
    wire.hold('up');
    const all = Promise.allSettled(Array.from({ length: 8 }, (_, n) => short(database, n)));
    monitored.drop();
    wire.release();
    expect(new Set((await all).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(await short(database, 9)).toMatchObject([{ n: 9 }]);
  });

  test('rejects together all statements that share an old connection that cannot be made', async () => {
    const { database, monitored, wire } = await open(1);
    wire.hold('up');
    const startedAt = performance.now();
    const all = Promise.allSettled(Array.from({ length: 8 }, (_, n) => short(database, n)));
    monitored.refresh();
    expect(new Set((await all).map(({ status }) => status))).toEqual(new Set(['rejected']));
    // One attempt to connect ends after a second. Eight attempts, one after the other, would take eight.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    wire.release();
  });

  test('rejects a statement after its end', async () => {
    const { database, pool } = await open(1);
    await short(database, 0);
    await pool.end(5);
    await expect(short(database, 1)).rejects.toThrow();
  });
});
