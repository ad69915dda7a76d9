import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AccessToken, TokenCredential } from '@azure/identity';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { startRedis } from '../../../dev/redis/start-redis.ts';
import { until } from '../../../tests/harness/app.ts';
import { Cache } from '../cache/cache.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-redis-login-'));
const redis = await startRedis({ logFile: path.join(folder, 'redis.log'), password: 'secret' });
if (redis === null)
  throw new Error('this test needs a real Redis: run `npx node dev/packages/install.ts redis-server`');
const admin = new Redis(redis.url);

afterAll(async () => {
  admin.disconnect();
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The app's object id: its user name in Redis. */
const USER = '6b7a2b1e-5b7f-4f0a-9a35-0d5b3f3f5c11';
const url = `redis://${USER}@127.0.0.1:${redis.port}`;

/** Which tokens Redis accepts for new sign-ins. */
const accept = (...tokens: string[]): Promise<unknown> =>
  admin.call(
    'ACL',
    'SETUSER',
    USER,
    'on',
    'resetpass',
    '~*',
    '&*',
    '+@all',
    ...tokens.map((one) => `>${one}`),
  );

/** As Azure does when a token expires: it ends the connections that signed in with it. */
const cut = (): Promise<unknown> => admin.call('CLIENT', 'KILL', 'USER', USER);

/** The ids of the app's live connections. */
async function connections(): Promise<string[]> {
  const list = String(await admin.call('CLIENT', 'LIST'));
  return list
    .split('\n')
    .filter((line) => line.includes(` user=${USER} `))
    .map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '');
}

/** Stands in for Entra: gives the tokens `t1`, `t2`, … that live for `lifeMs`, or fails while it is down. */
class Entra implements TokenCredential {
  readonly scopes: (string | string[])[] = [];
  readonly #lifeMs: number;
  down = false;
  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs;
  }
  getToken(scope: string | string[]): Promise<AccessToken> {
    this.scopes.push(scope);
    if (this.down) return Promise.reject(new Error('the identity endpoint does not answer'));
    return Promise.resolve({
      token: `t${this.scopes.length}`,
      expiresOnTimestamp: Date.now() + this.#lifeMs,
    });
  }
}

const HOUR = 3_600_000;

function open(entra: Entra): Cache {
  const cache = new Cache(url, '', { credential: () => Promise.resolve(entra) });
  onTestFinished(() => cache.close());
  return cache;
}

/** Whether the cache reaches Redis. */
async function works(cache: Cache): Promise<boolean> {
  await cache.write('known', 1, 600);
  return (await cache.read('known', z.number())) === 1;
}

const isTrue = (value: boolean): boolean => value;

beforeEach(async () => {
  await accept('t1');
  await cut();
});

test('a cache signs in as the URL’s user with a token for Redis', async () => {
  const entra = new Entra(HOUR);
  expect(await works(open(entra))).toBe(true);
  expect(entra.scopes).toEqual(['https://redis.azure.com/.default']);
  expect(await connections()).toHaveLength(1);
});

test('a live connection signs in again at three quarters of the token’s life, and stays', async () => {
  const cache = open(new Entra(2_000));
  expect(await works(cache)).toBe(true);
  const before = await connections();
  const signIns = async (): Promise<number> =>
    Number(/cmdstat_auth:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
  const had = await signIns();
  await accept('t1', 't2', 't3', 't4');
  const start = Date.now();
  await until(signIns, (now) => now > had);
  expect(Date.now() - start).toBeLessThan(2_000);
  expect(await connections()).toEqual(before);
  expect(await works(cache)).toBe(true);
});

test('a connection that is cut comes back with the newest token', async () => {
  const entra = new Entra(2_000);
  const cache = open(entra);
  expect(await works(cache)).toBe(true);
  await accept('t2', 't3', 't4', 't5');
  await until(
    () => Promise.resolve(entra.scopes.length),
    (calls) => calls >= 2,
  );
  await cut();
  await until(() => works(cache), isTrue);
});

test('while Entra gives no token, the old one serves, and a new one is taken when Entra is back', async () => {
  const entra = new Entra(1_500);
  const cache = open(entra);
  expect(await works(cache)).toBe(true);
  entra.down = true;
  await until(
    () => Promise.resolve(entra.scopes.length),
    (calls) => calls >= 3,
  );
  expect(await works(cache)).toBe(true);
  await accept('t4', 't5', 't6', 't7', 't8', 't9');
  entra.down = false;
  await cut();
  await until(() => works(cache), isTrue);
});

test('without a token at the start, calls return at once without Redis, and use it later', async () => {
  const entra = new Entra(HOUR);
  entra.down = true;
  const cache = open(entra);
  const start = performance.now();
  expect(await works(cache)).toBe(false);
  // The waits for a token, for a connection and for three commands, each limited.
  expect(performance.now() - start).toBeLessThan(3_000);
  await accept('t1', 't2', 't3', 't4', 't5', 't6', 't7', 't8', 't9');
  entra.down = false;
  await until(() => works(cache), isTrue);
});

test('a token that Redis refuses is like an unavailable Redis', async () => {
  await accept('another');
  const cache = open(new Entra(HOUR));
  expect(await works(cache)).toBe(false);
  expect(await cache.ping()).toBeUndefined();
});
