import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startRedis } from '../../../dev/redis/start-redis.ts';
import { until } from '../../../tests/harness/app.ts';
import { Cache } from './cache.ts';
import { RateLimiter } from './rate-limit.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-cache-'));
const redis = await startRedis({ logFile: path.join(folder, 'redis.log'), password: 'secret' });
if (redis === null)
  throw new Error('this test needs a real Redis: run `npx node dev/packages/install.ts redis-server`');

afterAll(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A command without an answer takes longer than this. A pause of a busy machine does not. */
const WAITED_MS = 200;
/** How long the test calls. Longer than any time that the breaker has stayed open. */
const LOOK_MS = 3_000;
const LIMITS = { hour: 1_000_000_000, day: 1_000_000_000, tenantHour: null };

/** Calls repeatedly. Returns how often a call waited for Redis. */
async function countWaits(ask: () => Promise<unknown>): Promise<number> {
  let waits = 0;
  const end = performance.now() + LOOK_MS;
  while (performance.now() < end) {
    const before = performance.now();
    await ask();
    if (performance.now() - before > WAITED_MS) waits += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return waits;
}

function signal(name: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  process.kill(redis?.process.pid ?? 0, name);
  return Promise.resolve();
}

const faults: [string, { break: () => Promise<void>; mend: () => Promise<void> }][] = [
  ['killed', { break: () => redis.kill(), mend: () => redis.start() }],
  [
    'frozen',
    {
      break: () => signal('SIGSTOP'),
      mend: () => signal('SIGCONT'),
    },
  ],
];

test.each(faults)(
  'a Redis that is %s delays no request after it is found unavailable, and is used again when it is back',
  async (_, fault) => {
    const cache = new Cache(redis.url, '');
    const limiter = new RateLimiter(cache);
    let keys = 0;
    // Each key has its own loan, so each call asks Redis.
    const take = (): Promise<unknown> => limiter.take('acme', `key-${++keys}`, LIMITS);
    const read = (): Promise<unknown> => cache.read('known', z.number());
    await cache.write('known', 1, 600);
    await take();
    try {
      await fault.break();
      await Promise.all([read(), read(), read()]);
      expect(await countWaits(() => Promise.all([read(), take()]))).toBe(0);
    } finally {
      await fault.mend();
    }
    await until(
      async () => {
        await cache.write('again', 2, 600);
        return cache.read('again', z.number());
      },
      (value) => value === 2,
    );
    await cache.close();
  },
);

test('a kept value can be read at once, is sent to Redis in a batch, and is gone after a drop', async () => {
  const [cache, other] = [new Cache(redis.url, 'kept:'), new Cache(redis.url, 'kept:')];
  const read = (from: Cache, n: number): Promise<unknown> => from.read(`number-${n}`, z.number());
  for (let n = 0; n < 100; n++) cache.keep(`number-${n}`, n, 600);
  expect(await read(cache, 7)).toBe(7);
  await cache.drop('number-8');
  await until(
    () => read(other, 99),
    (value) => value === 99,
  );
  expect(await Promise.all([0, 7, 8].map((n) => read(other, n)))).toEqual([0, 7, undefined]);
  cache.keep('number-100', 100, 600);
  await cache.close(); // a normal close sends collected values
  expect(await read(other, 100)).toBe(100);
  await other.close();
});
