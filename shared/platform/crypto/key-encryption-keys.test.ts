import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { rememberVersions } from './key-encryption-keys.ts';
import type { KeyVersion } from './key-version.ts';

let now = 0;
beforeEach(() => void vi.spyOn(performance, 'now').mockImplementation(() => now));
afterEach(() => void vi.restoreAllMocks());

const MINUTE_MS = 60_000;
const keyOf = (version: string): Uint8Array => Buffer.alloc(32, version);

/** A vault with a settable newest version, which counts its calls. */
function vault() {
  const state = { newest: 'a', isUnavailable: false };
  const read = vi.fn(async (version?: string): Promise<KeyVersion> => {
    await Promise.resolve();
    if (state.isUnavailable) throw new Error('the vault is unavailable');
    const found = version ?? state.newest;
    return { version: found, key: keyOf(found) };
  });
  return { state, read, keys: rememberVersions(read) };
}

test('concurrent callers of a key share one call to the vault', async () => {
  const { keys, read } = vault();
  const found = await Promise.all([keys.version('b'), keys.version('b'), keys.version('b')]);
  expect(found).toEqual([keyOf('b'), keyOf('b'), keyOf('b')]);
  await Promise.all([keys.current(), keys.current()]);
  expect(read.mock.calls).toEqual([['b'], []]);
});

test('a version is cached without a limit, the newest for ten minutes', async () => {
  const { state, keys, read } = vault();
  await keys.version('b');
  expect(await keys.current()).toEqual({ version: 'a', key: keyOf('a') });
  state.newest = 'c';
  now += 10 * MINUTE_MS - 1;
  expect((await keys.current()).version).toBe('a');
  now += 1;
  expect(await keys.current()).toEqual({ version: 'c', key: keyOf('c') });
  now += 1_000 * MINUTE_MS;
  expect(await keys.version('b')).toEqual(keyOf('b'));
  expect(read).toHaveBeenCalledTimes(3);
});

test('after a failure of the vault, the next call asks it again', async () => {
  const { state, keys } = vault();
  state.isUnavailable = true;
  await expect(keys.current()).rejects.toThrow('the vault is unavailable');
  await expect(keys.version('b')).rejects.toThrow('the vault is unavailable');
  state.isUnavailable = false;
  expect((await keys.current()).version).toBe('a');
  expect(await keys.version('b')).toEqual(keyOf('b'));
});
