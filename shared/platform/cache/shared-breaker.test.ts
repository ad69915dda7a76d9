import { afterAll, describe, expect, test } from 'vitest';
import { openRedis } from '../../../tests/harness/redis.ts';
import { until } from '../../../tests/harness/app.ts';
import { Cache } from './cache.ts';
import { circuitBreakerKey } from './keys.ts';
import { CircuitOpen, SharedBreaker } from './shared-breaker.ts';

const { url, keyPrefix } = await openRedis();
const cache = new Cache(url, keyPrefix);
afterAll(() => cache.close());

class Poison extends Error {}

function breaker(service: string, openMs = 60_000, from = cache): SharedBreaker {
  return new SharedBreaker(from, { service, openMs, ignore: (error) => error instanceof Poison });
}
const gone = (): Promise<never> => Promise.reject(new Error('gone'));
const well = (): Promise<string> => Promise.resolve('done');
const key = (service: string) => cache.attempt((client) => client.get(circuitBreakerKey(service)));

describe('a breaker that instances share', () => {
  test('opens at a failure, and calls nothing while it is open', async () => {
    const one = breaker('here');
    await expect(one.execute(gone)).rejects.toThrow('gone');
    expect(one.open).toBe(true);
    await expect(one.execute(well)).rejects.toThrow(CircuitOpen);
  });

  test('stops the calls of other instances too', async () => {
    await expect(breaker('there').execute(gone)).rejects.toThrow('gone');
    await until(
      () => key('there'),
      (value) => typeof value === 'string',
    );
    await expect(breaker('there').execute(well)).rejects.toThrow(CircuitOpen);
    await expect(breaker('another').execute(well)).resolves.toBe('done');
  });

  test('allows one call after its time, and closes for all instances when that succeeds', async () => {
    const one = breaker('mended', 20);
    await expect(one.execute(gone)).rejects.toThrow('gone');
    await until(
      () => Promise.resolve(one.open),
      (open) => !open,
    );
    await expect(one.execute(well)).resolves.toBe('done');
    await until(
      () => key('mended'),
      (value) => value === null,
    );
    await expect(breaker('mended').execute(well)).resolves.toBe('done');
  });

  test('does not open for a failure that the call itself causes', async () => {
    const one = breaker('own');
    await expect(one.execute(() => Promise.reject(new Poison('too large')))).rejects.toThrow('too large');
    await expect(one.execute(well)).resolves.toBe('done');
  });

  test('ignores an announcement of a time longer than its own', async () => {
    const ahead = Date.now() + 3_600_000;
    await cache.write(circuitBreakerKey('ahead'), { state: 'open', until: ahead }, 60);
    await expect(breaker('ahead', 1_000).execute(well)).resolves.toBe('done');
  });

  test('works without a cache', async () => {
    const absent = new Cache(undefined, '');
    const one = breaker('alone', 60_000, absent);
    await expect(one.execute(gone)).rejects.toThrow('gone');
    await expect(one.execute(well)).rejects.toThrow(CircuitOpen);
    await expect(breaker('alone', 60_000, absent).execute(well)).resolves.toBe('done');
  });
});
