import { expect, test } from 'vitest';
import { DependencyUnavailable } from '../db/errors.ts';
import { retryWithBackoff } from './retry-with-backoff.ts';

const SHORT = { holdMs: 400, firstMs: 1, longestMs: 10 };

/** Fails a number of times with an error, then succeeds. */
function failing(times: number, error: Error): { work: () => Promise<string>; calls: () => number } {
  let calls = 0;
  const work = (): Promise<string> => (++calls > times ? Promise.resolve('done') : Promise.reject(error));
  return { work, calls: () => calls };
}

test.each([
  ['the database is unavailable', new DependencyUnavailable('The database')],
  ['a connection is refused', Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })],
  ['two writers block each other', Object.assign(new Error('deadlock'), { code: '40P01' })],
  ['the storage is busy', Object.assign(new Error('busy'), { statusCode: 503 })],
])('a batch waits while %s', async (_, error) => {
  const { work, calls } = failing(3, error);
  expect(await retryWithBackoff(work, SHORT)).toBe('done');
  expect(calls()).toBe(4);
});

test('a batch is returned after the longest hold time', async () => {
  const { work, calls } = failing(Infinity, new DependencyUnavailable('The database'));
  await expect(retryWithBackoff(work, SHORT)).rejects.toThrow('unavailable');
  expect(calls()).toBeGreaterThan(5);
});

test('a batch is returned at once for an error that a retry does not help', async () => {
  const { work, calls } = failing(Infinity, new TypeError('a bug of our own'));
  await expect(retryWithBackoff(work, SHORT)).rejects.toThrow('our own');
  expect(calls()).toBe(1);
});
