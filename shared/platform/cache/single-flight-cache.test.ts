import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SingleFlightCache } from './single-flight-cache.ts';

let now = 0;
beforeEach(() => void vi.spyOn(performance, 'now').mockImplementation(() => now));
afterEach(() => void vi.restoreAllMocks());

/** A look-up that answers when the test says so. */
function lookUp() {
  const calls: { answer: (value: string) => void; fail: (error: Error) => void }[] = [];
  const load = vi.fn(
    () => new Promise<string>((resolve, reject) => calls.push({ answer: resolve, fail: reject })),
  );
  return { load, calls };
}

test('concurrent callers share one look-up, and later callers get the cached value until it expires', async () => {
  const memory = new SingleFlightCache<string>({ ttlMs: 1_000, max: 10 });
  const { load, calls } = lookUp();
  const asked = [memory.find('a', load), memory.find('a', load)];
  calls[0]?.answer('one');
  expect(await Promise.all(asked)).toEqual(['one', 'one']);
  now += 999;
  expect(memory.find('a', load)).toBe('one');
  now += 1;
  const again = memory.find('a', load);
  calls[1]?.answer('two');
  expect(await again).toBe('two');
  expect(load).toHaveBeenCalledTimes(2);
});

test('the time to live starts before the look-up, since a value may change during it', async () => {
  const memory = new SingleFlightCache<string>({ ttlMs: 1_000, max: 10 });
  const { load, calls } = lookUp();
  const slow = memory.find('a', load);
  now += 600;
  calls[0]?.answer('old');
  expect(await slow).toBe('old');
  now += 399;
  expect(memory.find('a', load)).toBe('old');
  now += 1;
  const again = memory.find('a', load);
  // Slower than the time to live: concurrent callers share it, and its result is not kept.
  now += 1_500;
  const shared = memory.find('a', load);
  calls[1]?.answer('new');
  expect(await Promise.all([again, shared])).toEqual(['new', 'new']);
  expect(memory.find('a', load)).toBeInstanceOf(Promise);
  expect(load).toHaveBeenCalledTimes(3);
});

test('a failure rejects all waiting callers, and is not cached', async () => {
  const memory = new SingleFlightCache<string>({ ttlMs: 1_000, max: 10 });
  const { load, calls } = lookUp();
  const asked = [memory.find('a', load), memory.find('a', load)];
  calls[0]?.fail(new Error('away'));
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const again = memory.find('a', load);
  calls[1]?.answer('back');
  expect(await again).toBe('back');
});

test('a key that is forgotten during its look-up is not cached, since its value may have changed', async () => {
  const memory = new SingleFlightCache<string>({ ttlMs: 1_000, max: 10 });
  const { load, calls } = lookUp();
  const before = memory.find('a', load);
  memory.forget('a');
  const after = memory.find('a', load);
  calls[0]?.answer('old');
  calls[1]?.answer('new');
  expect(await Promise.all([before, after])).toEqual(['old', 'new']);
  expect(memory.find('a', load)).toBe('new');
});

test('it never holds more than its maximum', async () => {
  const memory = new SingleFlightCache<number>({ ttlMs: 1_000, max: 3 });
  for (let n = 0; n < 4; n++) await memory.find(String(n), () => Promise.resolve(n));
  const load = vi.fn(() => Promise.resolve(-1));
  expect(await Promise.all(['0', '1', '2', '3'].map((key) => memory.find(key, load)))).toEqual([
    -1, -1, -1, 3,
  ]);
});
