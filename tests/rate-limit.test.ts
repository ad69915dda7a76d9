import { randomUUID } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startRedis } from '../dev/redis/start-redis.ts';
import { Cache } from '../shared/platform/cache/cache.ts';
import { RateLimiter, type RateLimits } from '../shared/platform/cache/rate-limit.ts';
import { RATE_PER_DAY_DEFAULT, RATE_PER_HOUR_DEFAULT } from '../shared/domains/identity/schemas.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { freeze } from './faults/freeze.ts';
import { until, type TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { takeTour } from './harness/tour.ts';

// This file's own Redis, because tests stop it.
const password = randomBytes(12).toString('hex');
const redis = await startRedis({
  password,
  logFile: path.join(tmpdir(), `rate-limit-redis-${process.pid}.log`),
});
if (redis === null) throw new Error('these tests need a Redis: install redis-server');
const { app } = await startBillingApp({ settings: { REDIS_URL: redis.url }, webhooks: false });
afterAll(() => redis.stop());

const keyWith = (hour: number, day = 1_000_000, tenant = 'acme'): Promise<string> =>
  app.makeKey(tenant, ['mappings:read', 'mappings:write'], {
    rate_limit_per_hour: hour,
    rate_limit_per_day: day,
  });
const list = (key: string): Promise<TestAnswer> => app.request('GET', '/api/v1/mappings?limit=1', { key });
const times = (count: number, send: () => Promise<TestAnswer>): Promise<TestAnswer[]> =>
  Promise.all(Array.from({ length: count }, send));
const statuses = (answers: readonly TestAnswer[]): Record<number, number> => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

describe('a key’s allowance', () => {
  it('is in every answer: the policy, the rest, and the time of the reset', async () => {
    const key = await keyWith(5, 9);
    for (const left of [4, 3, 2]) {
      const answer = await list(key);
      expect(answer.headers.get('ratelimit-policy')).toBe('"hour";q=5;w=3600, "day";q=9;w=86400');
      expect(answer.headers.get('ratelimit')).toMatch(
        new RegExp(`^"hour";r=${left};t=3[56]\\d\\d, "day";r=${left + 4};t=86[34]\\d\\d$`),
      );
    }
    const refused = await app.request('POST', '/api/v1/mappings', { key, raw: '{' });
    expect([refused.status, refused.headers.get('ratelimit')?.slice(0, 10)]).toEqual([400, '"hour";r=1']);
  });

  it('ends with 429 and Retry-After, and the request has no effect', async () => {
    const key = await keyWith(2);
    const body = { detector: 'limited', source_data: 'x', model_version: 'v1' };
    const send = (): Promise<TestAnswer> => app.request('POST', '/api/v1/mappings', { key, body });
    expect(statuses([await send(), await send()])).toEqual({ 201: 2 });
    const refused = await send();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body).toMatchObject({ code: 'RATE_LIMITED', 'violated-policies': ['hour'] });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3500);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(3600);
    expect(refused.headers.get('ratelimit')).toMatch(/^"hour";r=0;t=3[56]\d\d, /);
    const rows = await app.admin.core`select from mapper_requests where detector = 'limited'`;
    expect(rows).toHaveLength(2);
  });

  it('ends with the daily limit, and then Retry-After is the day’s', async () => {
    const key = await keyWith(100, 2);
    await times(2, () => list(key));
    const refused = await list(key);
    expect([refused.status, refused.body['violated-policies']]).toEqual([429, ['day']]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(86_000);
  });

  it('is exact with many requests at once, on any number of instances', async () => {
    const key = await keyWith(10);
    const keyId = key.split('_')[2] ?? '';
    const elsewhere = (): Promise<{ allowed: boolean }> =>
      app.services.rateLimiter.take('acme', keyId, { hour: 10, day: 1_000_000, tenantHour: null });
    const [here, there] = await Promise.all([
      times(20, () => list(key)),
      Promise.all(Array.from({ length: 20 }, elsewhere)),
    ]);
    const allowed = (statuses(here)[200] ?? 0) + there.filter((verdict) => verdict.allowed).length;
    expect(allowed).toBe(10);
  });

  it('is granted to the last request, although instances borrow several at a time', async () => {
    const cache = new Cache(redis.url, app.services.settings.REDIS_KEY_PREFIX);
    onTestFinished(() => cache.close());
    const keyId = (await keyWith(1)).split('_')[2] ?? '';
    // Not a multiple of a loan: the last loan is smaller.
    const limits = { hour: 1_005, day: 1_000_000, tenantHour: null };
    let granted = 0;
    let open = [app.services.rateLimiter, new RateLimiter(cache)];
    while (open.length > 0) {
      const verdicts = await Promise.all(open.map((limiter) => limiter.take('acme', keyId, limits)));
      granted += verdicts.filter(({ allowed }) => allowed).length;
      open = open.filter((_, n) => verdicts[n]?.allowed === true);
    }
    expect(granted).toBe(limits.hour);
  });

  it('counts an instance’s first request in Redis, also beside another command of the same turn', async () => {
    const cache = new Cache(redis.url, `first-request-${randomUUID()}:`);
    onTestFinished(() => cache.close());
    const client = await cache.client();
    const other = client?.get('absent');
    const limits = { hour: 10, day: 100, tenantHour: null };
    const verdict = await new RateLimiter(cache).take('acme', 'first', limits);
    expect([await other, verdict.allowed]).toEqual([null, true]);
    const elsewhere = new Cache(redis.url, app.services.settings.REDIS_KEY_PREFIX);
    onTestFinished(() => elsewhere.close());
    const keys = await (await elsewhere.client())?.keys('*');
    expect(keys?.filter((key) => key.includes('first-request-'))).not.toEqual([]);
  });

  it('belongs to one key: another key of the tenant has its own', async () => {
    const [spent, fresh] = [await keyWith(1), await keyWith(1)];
    expect(statuses([await list(spent), await list(spent)])).toEqual({ 200: 1, 429: 1 });
    expect((await list(fresh)).status).toBe(200);
  });

  it('is capped by the tenant’s settings', async () => {
    const settings = { config_data: { rate_limit_per_hour: 3 } };
    const key = await keyWith(1000, 1_000_000, 'globex');
    const replaced = await app.request('PUT', '/api/v1/tenant-config', {
      key: app.keys.globex.owner,
      body: settings,
      headers: { 'if-match': '*' },
    });
    expect(replaced.status).toBe(200);
    expect((await list(key)).headers.get('ratelimit-policy')).toMatch(/^"hour";q=3;/);
    expect(statuses(await times(5, () => list(key)))).toEqual({ 200: 2, 429: 3 });
  });

  it('is capped for all keys of the tenant together, on any number of instances', async () => {
    const tenant = 'capped';
    await app.admin
      .core`insert into tenants (tenant_id, name, plan_id, has_quota) values (${tenant}, 'Capped', 'starter', false)`;
    await app.admin.core`insert into tenant_configs (tenant_id, config_data)
      values (${tenant}, ${app.admin.core.json({ rate_limit_per_hour: 8 })})`;
    const [one, two] = [await keyWith(1000, 5000, tenant), await keyWith(1000, 5000, tenant)];
    const elsewhere = () =>
      app.services.rateLimiter.take(tenant, 'third', { hour: 1000, day: 5000, tenantHour: 8 });
    const [first, second, third] = await Promise.all([
      times(5, () => list(one)),
      times(5, () => list(two)),
      Promise.all(Array.from({ length: 5 }, elsewhere)),
    ]);
    const allowed = [...first, ...second].filter(({ status }) => status === 200).length;
    expect(allowed + third.filter((verdict) => verdict.allowed).length).toBe(8);
    const refused = await list(one);
    expect([refused.status, refused.body['violated-policies']]).toEqual([429, ['hour']]);
    expect(refused.headers.get('ratelimit')).toMatch(/^"hour";r=0;t=3[56]\d\d, /);
  });

  it('by day is not spent by requests that the hourly limit refuses', async () => {
    const key = await keyWith(2, 9);
    expect(statuses(await times(8, () => list(key)))).toEqual({ 200: 2, 429: 6 });
    expect((await list(key)).headers.get('ratelimit')).toMatch(/, "day";r=7;/);
  });

  describe('counted by several instances', () => {
    const limiterOfItsOwn = (): { limiter: RateLimiter; cache: Cache } => {
      const cache = new Cache(redis.url, app.services.settings.REDIS_KEY_PREFIX);
      onTestFinished(() => cache.close());
      return { limiter: new RateLimiter(cache), cache };
    };
    const grantedOf = async (
      limiter: RateLimiter,
      keyId: string,
      limits: RateLimits,
      atOnce = 1,
    ): Promise<number> => {
      let granted = 0;
      for (;;) {
        const verdicts = await Promise.all(
          Array.from({ length: atOnce }, () => limiter.take('acme', keyId, limits)),
        );
        const allowed = verdicts.filter((verdict) => verdict.allowed).length;
        granted += allowed;
        if (allowed < atOnce) return granted;
      }
    };

    it.each([
      ['the key’s hour', { hour: 3, day: 50, tenantHour: null }],
      ['the hour of the tenant’s keys together', { hour: 40, day: 50, tenantHour: 3 }],
    ])('by day is not spent by requests that %s refuses', async (what, limits) => {
      const keyId = newId();
      const instances = [limiterOfItsOwn().limiter, limiterOfItsOwn().limiter, limiterOfItsOwn().limiter];
      let granted = 0;
      for (const atOnce of [1, 7, 7])
        for (const limiter of instances) granted += await grantedOf(limiter, keyId, limits, atOnce);
      expect([what, granted]).toEqual([what, 3]);
      const { windows } = await limiterOfItsOwn().limiter.take('acme', keyId, limits);
      expect(windows).toMatchObject([
        { name: 'hour', remaining: 0, allowed: false },
        { name: 'day', remaining: 47, allowed: true },
      ]);
      const { limiter } = limiterOfItsOwn();
      expect(await grantedOf(limiter, keyId, { hour: 1_000_000, day: 50, tenantHour: null })).toBe(47);
    });

    it('borrows from Redis: one request in ten waits for a loan, one in a hundred twice', async () => {
      const { limiter, cache } = limiterOfItsOwn();
      let [underWay, rounds] = [0, 0];
      const attempt = cache.attempt.bind(cache);
      const asked = vi.spyOn(cache, 'attempt').mockImplementation(async (operation) => {
        if (underWay === 0) rounds += 1;
        underWay += 1;
        try {
          return await attempt(operation);
        } finally {
          underWay -= 1;
        }
      });
      const keyId = newId();
      const limits = { hour: RATE_PER_HOUR_DEFAULT, day: RATE_PER_DAY_DEFAULT, tenantHour: null };
      const waits: Record<number, number> = {};
      for (let n = 0; n < 500; n++) {
        const before = rounds;
        expect((await limiter.take('acme', keyId, limits)).allowed).toBe(true);
        waits[rounds - before] = (waits[rounds - before] ?? 0) + 1;
      }
      expect(waits).toEqual({ 0: 450, 1: 45, 2: 5 });
      expect(asked).toHaveBeenCalledTimes(55);
    });
  });

  it('is not changed by a refused credential', async () => {
    const key = await keyWith(2);
    const forged = key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
    expect(statuses(await times(5, () => list(forged)))).toEqual({ 401: 5 });
    expect((await list(key)).headers.get('ratelimit')).toMatch(/^"hour";r=1;/);
  });
});

describe('while Redis does not answer', () => {
  it('a request waits for it once, not for each of its windows', async () => {
    const cache = new Cache(redis.url, app.services.settings.REDIS_KEY_PREFIX);
    onTestFinished(() => cache.close());
    const limiter = new RateLimiter(cache);
    const limits = { hour: 3, day: 50, tenantHour: 10 };
    await limiter.take('acme', newId(), limits);
    const asked = vi.spyOn(cache, 'attempt');
    const thaw = freeze(redis.process.pid);
    try {
      expect(await limiter.take('globex', newId(), limits)).toMatchObject({ allowed: true });
    } finally {
      thaw();
    }
    expect(asked).toHaveBeenCalledTimes(1);
  });
});

describe('when Redis has stopped', () => {
  const readiness = async (): Promise<[number, string, string]> => {
    const { status, body } = await app.request('GET', '/api/health/ready');
    const part = body.dependencies.find(({ name }: { name: string }) => name === 'redis');
    return [status, body.status, part.status];
  };
  const becomes = (state: string) => until(readiness, ([, overall]) => overall === state);

  it('health is degraded and 200, every kind of request works, and each instance still applies the limit', async () => {
    expect(await becomes('healthy')).toEqual([200, 'healthy', 'healthy']);
    const [spent, fresh] = [await keyWith(1), await keyWith(3)];
    await times(2, () => list(spent));
    await redis.kill();
    expect(await becomes('degraded')).toEqual([200, 'degraded', 'unhealthy']);
    for (const { operation, expected, answer } of await takeTour(app))
      expect([operation, answer.status]).toEqual([operation, expected]);
    // The limit is looser, never stricter: the count in Redis is unknown here.
    expect((await list(spent)).status).toBe(200);
    const answers = await times(8, () => list(fresh));
    expect(statuses(answers)).toEqual({ 200: 3, 429: 5 });
    expect(answers.find(({ status }) => status === 429)?.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(app.logLines.filter((line) => line.includes('redis-breaker-open'))).not.toEqual([]);
  });

  it('and has come back, it is used again', async () => {
    await redis.start();
    expect(await becomes('healthy')).toEqual([200, 'healthy', 'healthy']);
    await until(
      async () => {
        await readiness();
        return app.logLines.some((line) => line.includes('redis-breaker-closed'));
      },
      (isClosed) => isClosed,
    );
    // Each instance reconnects to Redis by itself; then they count together again.
    await until(
      () => app.services.cache.ping(),
      (ms) => ms !== undefined,
    );
    const key = await keyWith(7);
    const keyId = key.split('_')[2] ?? '';
    await times(3, () => list(key));
    const { windows } = await app.services.rateLimiter.take('acme', keyId, {
      hour: 7,
      day: 1_000_000,
      tenantHour: null,
    });
    expect(windows[0]).toMatchObject({ name: 'hour', remaining: 3 });
  });
});
