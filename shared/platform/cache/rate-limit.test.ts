import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cache } from './cache.ts';
import { RateLimiter } from './rate-limit.ts';

/** Large enough that an instance borrows several requests at once. */
const LIMIT = 3_000;
const HOUR_MS = 60 * 60_000;
const UNLIMITED = 1_000_000_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const isAllowed = async (limiter: RateLimiter, key = 'key'): Promise<boolean> =>
  (await limiter.take('acme', key, { hour: LIMIT, day: UNLIMITED, tenantHour: null })).allowed;

test('a key with few requests gets its whole limit, and not one more', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  for (let n = 0; n < LIMIT; n++) {
    expect([n, await isAllowed(limiter)]).toEqual([n, true]);
    vi.setSystemTime(Date.now() + 1_100);
  }
  expect(await isAllowed(limiter)).toBe(false);
});

test('concurrent requests get no more than sequential ones', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  const answers = await Promise.all(Array.from({ length: LIMIT + 500 }, () => isAllowed(limiter)));
  expect(answers.filter((allowed) => allowed)).toHaveLength(LIMIT);
});

test('a used-up window starts again, and other keys have their own', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  while (await isAllowed(limiter));
  expect(await isAllowed(limiter, 'other')).toBe(true);
  await vi.advanceTimersByTimeAsync(HOUR_MS + 1_000);
  expect(await isAllowed(limiter)).toBe(true);
});

test('reports what is left, one less for each request, and when the window resets', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  let before = LIMIT;
  for (let n = 0; n < 20; n++) {
    const { windows } = await limiter.take('acme', 'key', { hour: LIMIT, day: UNLIMITED, tenantHour: null });
    const hour = windows.find(({ name }) => name === 'hour');
    expect(hour).toMatchObject({ limit: LIMIT, remaining: before - 1 });
    expect(hour?.resetSeconds).toBeLessThanOrEqual(HOUR_MS / 1000);
    before = hour?.remaining ?? 0;
  }
});

test.each([1, 7])('a request that the hour refuses does not spend the day (%i at once)', async (atOnce) => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  const limits = { hour: 2, day: 10, tenantHour: null };
  const remaining: (number | undefined)[] = [];
  for (let n = 0; n < 6; n++) {
    const verdicts = await Promise.all(
      Array.from({ length: atOnce }, () => limiter.take('acme', 'key', limits)),
    );
    remaining.push(verdicts.at(-1)?.windows.find(({ name }) => name === 'day')?.remaining);
  }
  expect(remaining.at(-1)).toBe(8);
  let taken = 0;
  for (let hour = 0; hour < 6; hour++) {
    await vi.advanceTimersByTimeAsync(HOUR_MS + 1_000);
    for (let n = 0; n < 4; n++) if ((await limiter.take('acme', 'key', limits)).allowed) taken += 1;
  }
  expect(taken).toBe(8);
});

test('a request that the day refuses does not spend the hour', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  const limits = { hour: 5, day: 2, tenantHour: null };
  for (let n = 0; n < 6; n++) await limiter.take('acme', 'key', limits);
  const { allowed, windows } = await limiter.take('acme', 'key', limits);
  expect([allowed, ...windows]).toMatchObject([
    false,
    { name: 'hour', remaining: 3, allowed: true },
    { name: 'day', remaining: 0, allowed: false },
  ]);
});

test('without a Redis client no request is refused wrongly: limits are counted in the process', async () => {
  const cache = new Cache('rediss://:pa%ss@127.0.0.1:1', '');
  const limiter = new RateLimiter(cache);
  const limits = { hour: 2, day: UNLIMITED, tenantHour: null };
  const verdicts = [await limiter.take('acme', 'key', limits), await limiter.take('acme', 'key', limits)];
  expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, true]);
  expect((await limiter.take('acme', 'key', limits)).allowed).toBe(false);
  expect(await cache.ping()).toBeUndefined();
  await cache.close();
});

test('a tenant’s cap holds across its keys, and does not affect another tenant', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  const limits = { hour: 4, day: UNLIMITED, tenantHour: 6 };
  const take = (tenant: string, key: string) => limiter.take(tenant, key, limits);
  const verdicts = await Promise.all(
    ['one', 'two', 'three'].flatMap((key) => Array.from({ length: 5 }, () => take('acme', key))),
  );
  expect(verdicts.filter(({ allowed }) => allowed)).toHaveLength(6);
  expect((await take('acme', 'four')).windows[0]).toMatchObject({ name: 'hour', limit: 6, remaining: 0 });
  expect((await take('globex', 'one')).windows[0]).toMatchObject({ name: 'hour', limit: 4, remaining: 3 });
});
