import { exportJWK, generateKeyPair, type CompactJWSHeaderParameters, type JWK } from 'jose';
import { expect, it } from 'vitest';
import { ReadingFailed } from '../../../platform/outbound/get-json.ts';
import { IssuerKeys, KeysUnavailable } from './issuer-keys.ts';

const ISSUER = 'https://login.example.com/v2.0';
const MINUTE = 60_000;

async function makeKey(kid: string): Promise<JWK> {
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(publicKey)), kid, alg: 'ES256' };
}

/** Keys whose documents and clock the test sets. */
function scene(keys: JWK[], discovered: unknown = { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` }) {
  const state = { keys, isDown: false, at: 0, reads: [] as string[] };
  const issuer = new IssuerKeys(
    { issuer: ISSUER },
    (url) => {
      state.reads.push(url);
      if (state.isDown) return Promise.reject(new ReadingFailed('unreachable'));
      return Promise.resolve(url.endsWith('/keys') ? { keys: state.keys } : discovered);
    },
    () => state.at,
  );
  const find = async (kid: string): Promise<boolean> => {
    const header: CompactJWSHeaderParameters = { alg: 'ES256', kid };
    try {
      await issuer.find(header, { payload: '', signature: '' });
      return true;
    } catch (error) {
      if (error instanceof KeysUnavailable) throw error;
      return false;
    }
  };
  const keysRead = () => state.reads.filter((url) => url.endsWith('/keys')).length;
  return { state, issuer, find, keysRead };
}

const [first, second] = await Promise.all([makeKey('first'), makeKey('second')]);

it('finds the keys by the issuer’s document, once for all callers', async () => {
  const { state, find } = scene([first]);
  expect(await Promise.all([find('first'), find('first'), find('first')])).toEqual([true, true, true]);
  expect(state.reads).toEqual([`${ISSUER}/.well-known/openid-configuration`, `${ISSUER}/keys`]);
});

it.each([
  ['another issuer', { issuer: 'https://evil.example.com', jwks_uri: `${ISSUER}/keys` }],
  ['the issuer with a slash', { issuer: `${ISSUER}/`, jwks_uri: `${ISSUER}/keys` }],
  ['no keys', { issuer: ISSUER }],
])('believes no document of %s', async (_, document) => {
  await expect(scene([first], document).find('first')).rejects.toThrow(KeysUnavailable);
});

it('looks an unknown key up once in 30 s, however many tokens name one', async () => {
  const { state, find, keysRead } = scene([first]);
  expect(await find('first')).toBe(true);
  expect(await Promise.all(Array.from({ length: 50 }, (_, n) => find(`made-up-${n}`)))).not.toContain(true);
  expect(keysRead()).toBe(2);
  state.keys = [first, second];
  state.at = 29_999;
  expect([await find('second'), keysRead()]).toEqual([false, 2]);
  state.at = 30_000;
  expect([await find('second'), keysRead()]).toEqual([true, 3]);
});

it('refuses a withdrawn key after ten minutes, and tells that keys have changed', async () => {
  const { state, issuer, find } = scene([first]);
  await find('first');
  const before = issuer.version;
  state.keys = [second];
  state.at = 10 * MINUTE - 1;
  expect(await find('first')).toBe(true);
  state.at = 10 * MINUTE;
  expect(await find('first')).toBe(false);
  expect(issuer.version).not.toBe(before);
});

it('lets known keys count on while the issuer is away, for a day, and asks it every 10 s', async () => {
  const { state, find, keysRead } = scene([first]);
  await find('first');
  state.isDown = true;
  const asked = state.reads.length;
  state.at = 10 * MINUTE;
  expect(await Promise.all([find('first'), find('first')])).toEqual([true, true]);
  expect(await find('first')).toBe(true);
  expect(state.reads).toHaveLength(asked + 1);
  state.at += 10_000;
  expect(await find('first')).toBe(true);
  expect(state.reads).toHaveLength(asked + 2);
  state.at = 24 * 60 * MINUTE;
  await expect(find('first')).rejects.toThrow(KeysUnavailable);
  state.isDown = false;
  state.at += 10_000;
  expect([await find('first'), keysRead()]).toEqual([true, 2]);
});

it('takes no key set that is none, and no shared secret in one', async () => {
  const { state, find } = scene([{ kty: 'oct', k: 'c2VjcmV0', kid: 'first', alg: 'ES256' }]);
  expect(await find('first')).toBe(false);
  state.keys = 'keys' as never;
  state.at = 10 * MINUTE;
  expect(await find('first')).toBe(false);
});
