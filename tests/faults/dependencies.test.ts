import { statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'vitest';
import type { RedisServer } from '../../dev/redis/start-redis.ts';
import { until } from '../harness/app.ts';
import { freeze } from './freeze.ts';
import { repairBlobs } from './repair-blobs.ts';
import { findCommands, findRedisCost, openSpan, type Span } from './redis-cost.ts';
import { ALL_SERVED, MAY_BE_AWAY, openScene, type Fault } from './scene.ts';

// The app's dependencies fail, one after the other, on one stack under load.

/** Longer than the circuit breaker's pauses. */
const REDIS_SPAN_MS = 2_300;
/** Twice the time after which a command is given up: what was asked for before the breaker opened is sent or forgotten. */
const REDIS_LAST_COMMANDS_MS = 500;
/** Spans without Redis. More are measured, up to the most, only while the machine's pauses are in all of them. */
const REDIS_SPANS = 2;
const REDIS_SPANS_MAX = 6;
/** Longer than the publisher's timeout for a send. */
const LONGER_THAN_A_SEND_MS = 6_000;
const SCENARIO_MS = 90_000;

const { faults, ledger, random, play, expectPublished } = await openScene();
const { stack } = faults;

interface Part {
  readonly pid: number | undefined;
  kill(): Promise<void>;
  start(): Promise<void>;
}

async function killForAWhile(part: Part): Promise<void> {
  await part.kill();
  try {
    await delay(random.between(2_500, 3_500));
  } finally {
    await part.start();
  }
}

async function freezeForAWhile(part: Part, ms: number): Promise<void> {
  const thaw = freeze(part.pid);
  try {
    await delay(ms);
  } finally {
    thaw();
  }
}

async function stopPostgres(): Promise<void> {
  await stack.postgres.stop(random.pick(['fast', 'immediate']));
  try {
    await delay(random.between(2_500, 3_500));
  } finally {
    await stack.postgres.start();
  }
}

async function cutConnections(): Promise<void> {
  for (let cuts = random.between(3, 5); cuts > 0; cuts--) {
    await faults.sql.core`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'comply-ai:%'`;
    await delay(random.between(200, 900));
  }
}

function redisOfStack(): RedisServer {
  if (stack.redis === null)
    throw new Error('this test needs a real Redis: run `npx node dev/packages/install.ts redis-server`');
  return stack.redis;
}

async function killRedis(): Promise<() => Promise<void>> {
  await redisOfStack().kill();
  return () => redisOfStack().start();
}

function freezeRedis(): Promise<() => Promise<void>> {
  const thaw = freeze(redisOfStack().process.pid);
  return Promise.resolve(() => {
    thaw();
    return Promise.resolve();
  });
}

/**
 * Redis is unavailable in several spans, each longer than the app's periodic work. Checks the cost for requests, and with
 * `isSilent` (connections stay open) that the app only asks whether it is back.
 */
function loseRedis(breakIt: () => Promise<() => Promise<void>>, { isSilent = false } = {}): Fault {
  const without: Span[] = [];
  const closeBefore = openSpan(faults.redis);
  let before: Span | undefined;
  const cost = (): string[] => findRedisCost(ledger.attempts, before === undefined ? [] : [before], without);
  return {
    tolerated: ALL_SERVED,
    async fault() {
      await delay(REDIS_SPAN_MS / 2);
      const said = faults.hostLog.length;
      before = closeBefore();
      const repair = await breakIt();
      try {
        await until(
          () => Promise.resolve(faults.hostLog.slice(said).join('')),
          (log) => log.includes('"redis-breaker-open"'),
        );
        await delay(REDIS_LAST_COMMANDS_MS);
        while (without.length < REDIS_SPANS || (without.length < REDIS_SPANS_MAX && cost().length > 0)) {
          const close = openSpan(faults.redis);
          await delay(REDIS_SPAN_MS);
          without.push(close());
        }
      } finally {
        await repair();
      }
    },
    also(found) {
      for (const line of cost()) found.check(false, () => line);
      // Exact, where times are not: a command that is sent is one that some request waits for.
      if (isSilent) for (const span of without) found.equal('bytes of commands', findCommands(span), 0);
    },
  };
}

/** Azurite's index of its blobs. */
const booksOfStorage = (): string => path.join(stack.folder, 'azurite', '__azurite_db_blob__.json');

/**
 * The blob storage is cut off during its work, is killed, and comes back. Azurite writes its index only every few seconds,
 * after it has acknowledged blobs (real storage writes before). So it is first cut off, and killed when its index is written.
 */
async function loseBlobStorage(): Promise<void> {
  await faults.blobs.refuse();
  const cutAt = Date.now();
  try {
    await until(
      () => Promise.resolve(statSync(booksOfStorage()).mtimeMs),
      (writtenAt) => writtenAt > cutAt,
    );
    await stack.azurite.kill();
    await stack.azurite.start();
  } finally {
    await faults.blobs.accept();
  }
}

/**
 * The blob storage is killed while it has acknowledged blobs that are not in its index. It loses them, although their records are
 * archived in the database. Its index is read while the process is stopped, so that it cannot write the index meanwhile.
 */
async function killForgetfulBlobStorage(): Promise<void> {
  const countUnwritten = async (): Promise<number> => {
    const writtenAt = statSync(booksOfStorage()).mtime;
    const [row] = await faults.sql
      .core`select count(*)::int as n from ops.blobs where created_at > ${writtenAt}`;
    return Number(row?.['n']);
  };
  await until(
    async () => {
      if ((await countUnwritten()) === 0) return 0;
      const thaw = freeze(stack.azurite.process.pid);
      const unwritten = await countUnwritten();
      if (unwritten === 0) thaw();
      return unwritten;
    },
    (unwritten) => unwritten > 0,
  );
  await stack.azurite.kill();
  await stack.azurite.start();
}

describe('under load, what was answered is stored and nothing is doubled', { timeout: SCENARIO_MS }, () => {
  test('without any fault', () => play({ tolerated: ALL_SERVED, fault: () => delay(500) }));

  test('when PostgreSQL is stopped and started', () => play({ tolerated: MAY_BE_AWAY, fault: stopPostgres }));

  test('when PostgreSQL stops answering for a while', () =>
    play({
      tolerated: MAY_BE_AWAY,
      fault: () => freezeForAWhile(stack.postgres.process, random.between(3_000, 4_000)),
    }));

  test('when its connections are cut', () => play({ tolerated: MAY_BE_AWAY, fault: cutConnections }));

  test('when Redis is killed and comes back, with little extra time for requests', () =>
    play(loseRedis(killRedis)));

  test('when Redis stops answering for a while, with little extra time for requests', () =>
    play(loseRedis(freezeRedis, { isSilent: true })));

  test('when the broker is killed and comes back, and the publisher connects again', async () => {
    await play({ tolerated: ALL_SERVED, fault: () => killForAWhile(stack.broker) });
    await expectPublished();
  });

  test('when the broker stops answering for a while, and the publisher continues', async () => {
    const fault = (): Promise<void> => freezeForAWhile(stack.broker, LONGER_THAN_A_SEND_MS);
    await play({ tolerated: ALL_SERVED, fault });
    await expectPublished();
  });

  test('when the blob storage is killed and comes back', () =>
    play({ tolerated: ALL_SERVED, fault: loseBlobStorage }));

  test('when the blob storage is killed and loses blobs, which the timer writes again', () =>
    play({
      tolerated: ALL_SERVED,
      fault: killForgetfulBlobStorage,
      repair: () => repairBlobs(faults, ledger),
    }));
});
