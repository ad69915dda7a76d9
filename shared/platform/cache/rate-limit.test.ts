import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cache } from './cache.ts';
import { RateLimiter } from './rate-limit.ts';

/** Large enough that an instance takes requests in loans of several. */
const LIMIT = 3_000;
const HOUR_MS = 60 * 60_000;
const UNLIMITED = 1_000_000_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const isAllowed = async (limiter: RateLimiter, key = 'key'): Promise<boolean> =>
  (await limiter.take('acme', key, { hour: LIMIT, day: UNLIMITED })).allowed;

test('a key that comes seldom gets all that it may, and not one more', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  for (let n = 0; n < LIMIT; n++) {
    expect([n, await isAllowed(limiter)]).toEqual([n, true]);
    vi.setSystemTime(Date.now() + 1_100);
  }
  expect(await isAllowed(limiter)).toBe(false);
});

test('requests at once get no more than one after the other', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  const answers = await Promise.all(Array.from({ length: LIMIT + 500 }, () => isAllowed(limiter)));
  expect(answers.filter((allowed) => allowed)).toHaveLength(LIMIT);
});

test('a spent window begins anew, and another key’s is its own', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  while (await isAllowed(limiter));
  expect(await isAllowed(limiter, 'other')).toBe(true);
  await vi.advanceTimersByTimeAsync(HOUR_MS + 1_000);
  expect(await isAllowed(limiter)).toBe(true);
});

test('says what is left and when there is more, downwards', async () => {
  const limiter = new RateLimiter(new Cache(undefined, ''));
  let before = LIMIT;
  for (let n = 0; n < 20; n++) {
    const { windows } = await limiter.take('acme', 'key', { hour: LIMIT, day: UNLIMITED });
    const hour = windows.find(({ name }) => name === 'hour');
    expect(hour).toMatchObject({ limit: LIMIT, remaining: before - 1 });
    expect(hour?.resetSeconds).toBeLessThanOrEqual(HOUR_MS / 1000);
    before = hour?.remaining ?? 0;
  }
});
