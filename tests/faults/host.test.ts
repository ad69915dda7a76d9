import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { parseApiKey } from '../../shared/platform/auth/api-key.ts';
import { DAY_MS } from '../../shared/platform/time/clock.ts';
import { until } from '../harness/app.ts';
import { notePids } from './fault-stack.ts';
import { ALL_SERVED, MAY_BREAK_OFF, openScene } from './scene.ts';
import { readBacklog } from './settle.ts';

// The functions host is killed, at random and at exact moments, and its clock jumps. The broker does not detect duplicates
// here, so that only the consumers do.

const SCENARIO_MS = 90_000;
/** A key that another instance revoked is refused within five seconds. */
const REVOKED_S = 8;

const { faults, random, play, playQuietly, write } = await openScene({ withBusProxies: true });
const { stack, sql, client } = faults;
if (faults.bus === undefined) throw new Error('the scene has no proxies');
const { publisher, triggers } = faults.bus;

afterEach(() => {
  publisher.release();
  triggers.release();
});

/** Like a crash: no connection is closed properly. Data that waits in a proxy is lost. */
async function crash(): Promise<void> {
  notePids(faults);
  await stack.host.kill();
}

async function crashAndRestart(): Promise<void> {
  await crash();
  publisher.release();
  triggers.release();
  await stack.host.start();
  notePids(faults);
}

/** How often each queue's consumer has written its effect. */
async function countEffects(): Promise<{ usage: number; rolled: number; audit: number; archived: number }> {
  const [core] = await sql.core`select (select count(*)::int from audit_logs) as audit,
    (select count(*)::int from ops.blobs) as archived`;
  const [billing] = await sql.billing`select count(*)::int as usage from usage_records`;
  const [analytics] =
    await sql.analytics`select coalesce(sum(event_count), 0)::int as rolled from usage_metrics`;
  return { ...core, ...billing, ...analytics } as Awaited<ReturnType<typeof countEffects>>;
}

/** Consumers whose last write waits for a lock: on the audit trail, on `ops.blobs`, on the usage roll-ups. */
async function countWaiting(): Promise<number> {
  const rows = await sql.core`
    select distinct substring(query from 'insert into (audit_logs|ops.blobs|usage_metrics)') as target
      from pg_stat_activity
     where wait_event_type = 'Lock' and application_name like 'comply-ai:%-cross-tenant@%'`;
  return rows.filter(({ target }) => target !== null).length;
}

/**
 * Locks the tables that the consumers of the three queues write last (for usage the roll-ups, after the ledger), so that each
 * consumer waits before its write. Calls `then` with a function that releases the locks.
 */
async function withConsumersHeld(then: (letGo: () => Promise<void>) => Promise<void>): Promise<void> {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const held = (
    tables: string,
    database: typeof sql.core,
  ): { locked: Promise<void>; done: Promise<unknown> } => {
    let tell = (): void => undefined;
    const locked = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const done = database.begin(async (transaction) => {
      await transaction.unsafe(`lock table ${tables} in share mode`);
      tell();
      await opened;
    });
    return { locked, done };
  };
  const locks = [held('audit_logs, ops.blobs', sql.core), held('usage_metrics', sql.analytics)];
  const letGo = async (): Promise<void> => {
    open();
    await Promise.all(locks.map(({ done }) => done));
  };
  try {
    await Promise.all(locks.map(({ locked }) => locked));
    await write(40, 600);
    await until(countWaiting, (waiting) => waiting === 3);
    await then(letGo);
  } finally {
    await letGo();
  }
}

/** Waits for a request whose time, by the host's clock, is about `offsetMs` after the database's clock. */
async function untilWrittenAt(offsetMs: number): Promise<void> {
  await until(
    () => sql.core`
      select 1 from mapper_requests
       where created_at between now() + ${offsetMs - 2_000} * interval '1 millisecond'
                            and now() + ${offsetMs + 2_000} * interval '1 millisecond'`,
    (rows) => rows.length > 0,
  );
}

describe('what was answered is stored and nothing is doubled', { timeout: SCENARIO_MS }, () => {
  test('when the host is killed at random moments', () =>
    play({
      tolerated: MAY_BREAK_OFF,
      async fault() {
        for (let kills = 3; kills > 0; kills--) {
          await crashAndRestart();
          await delay(random.between(100, 1_200));
        }
      },
    }));

  test('when the host is killed between the commit and the publishing', () =>
    playQuietly({
      tolerated: ALL_SERVED,
      async fault() {
        publisher.hold('up');
        await write(60, 700);
        // Committed and answered, but not published.
        expect(await readBacklog(faults)).toMatchObject({ queued: 0, outbox: expect.any(Number) });
        expect((await readBacklog(faults)).outbox).toBeGreaterThan(10);
        await until(
          () => Promise.resolve(publisher.waiting('up')),
          (bytes) => bytes > 0,
        );
        await crashAndRestart();
        expect((await readBacklog(faults)).outbox).toBeGreaterThan(10);
      },
    }));

  test('when the host is killed between the publishing and the deletion from the outbox', () =>
    playQuietly({
      tolerated: ALL_SERVED,
      async fault() {
        await write(20, 200); // so that its links are open
        await until(
          () => readBacklog(faults),
          ({ outbox, queued }) => outbox + queued === 0,
        );
        const before = await countEffects();
        publisher.hold('down');
        await write(60, 700);
        // The consumers have the first events, so the broker has them. The outbox still has all of them.
        await until(countEffects, ({ audit }) => audit > before.audit);
        expect((await readBacklog(faults)).outbox).toBeGreaterThan(10);
        await crashAndRestart();
      },
    }));

  test('when the host is killed while its queue handlers write, and their statements finish without it', () =>
    playQuietly({
      tolerated: ALL_SERVED,
      fault: () =>
        withConsumersHeld(async (letGo) => {
          await crash();
          await letGo();
          await crashAndRestart();
        }),
    }));

  test('when the host is killed between its queue handlers’ writes and their settlement', () =>
    playQuietly({
      tolerated: ALL_SERVED,
      fault: () =>
        withConsumersHeld(async (letGo) => {
          const before = await countEffects();
          triggers.hold('up');
          await letGo();
          await until(
            countEffects,
            (now) => now.rolled > before.rolled && now.audit > before.audit && now.archived > before.archived,
          );
          await until(
            () => Promise.resolve(triggers.waiting('up')),
            (bytes) => bytes > 0,
          );
          await crashAndRestart();
        }),
    }));

  test('when the host’s clock jumps a day ahead', () =>
    play({
      tolerated: ALL_SERVED,
      clockOffsetMs: DAY_MS,
      fault() {
        faults.setClock(DAY_MS);
        return untilWrittenAt(DAY_MS);
      },
    }));

  test('when it jumps back, and cached keys are not used for a day longer', async () => {
    const { reader } = stack.keys.tenants.acme;
    const use = async (): Promise<number> =>
      (await client.ask({ method: 'GET', path: '/api/v1/usage', key: reader })).status;
    expect(await use()).toBe(200);
    await play({
      tolerated: ALL_SERVED,
      fault() {
        faults.setClock(0);
        return untilWrittenAt(0);
      },
    });
    const keyId = parseApiKey(reader)?.keyId ?? '';
    await sql.core`update api_keys set revoked_at = now(), is_active = false where key_id = ${keyId}`;
    await until(use, (status) => status === 401, REVOKED_S);
  });
});
