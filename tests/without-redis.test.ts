import { describe, expect, it } from 'vitest';
import { startBillingApp } from './harness/billing-app.ts';
import { takeTour } from './harness/tour.ts';

const { app } = await startBillingApp({ withoutRedis: true, webhooks: false });

describe('an app that never had a Redis', () => {
  it('answers every kind of request', async () => {
    for (const { operation, expected, answer } of await takeTour(app))
      expect([operation, answer.status]).toEqual([operation, expected]);
  });

  it('reports it in its readiness, which is 200', async () => {
    const { status, body } = await app.request('GET', '/api/health/ready');
    expect([status, body.status]).toEqual([200, 'degraded']);
    expect(body.dependencies).toContainEqual({ name: 'redis', status: 'absent', latency_ms: null });
    const others = body.dependencies.filter(({ name }: { name: string }) => name !== 'redis');
    expect(others.map((part: { status: string }) => part.status)).toEqual(Array(5).fill('healthy'));
  });

  it('sees changes at once', async () => {
    const { owner, writer } = app.keys.acme;
    const made = await app.request('POST', '/api/v1/api-keys', {
      key: owner,
      body: { key_name: 'brief', permissions: ['config:read'] },
    });
    const read = () => app.request('GET', '/api/v1/tenant-config', { key: made.body.api_key });
    expect((await read()).status).toBe(200);
    await app.request('DELETE', `/api/v1/api-keys/${made.body.key_id}`, { key: owner });
    expect((await read()).status).toBe(401);
    const before = await app.request('GET', '/api/v1/tenant-config', { key: writer });
    await app.request('PUT', '/api/v1/tenant-config', {
      key: owner,
      body: { config_data: { rate_limit_per_hour: 77 } },
      headers: { 'if-match': before.body.etag },
    });
    const after = await app.request('GET', '/api/v1/tenant-config', { key: writer });
    expect(after.headers.get('ratelimit-policy')).toMatch(/^"hour";q=77;/);
  });

  it('still applies a key’s limit', async () => {
    const key = await app.makeKey('globex', ['usage:read'], { rate_limit_per_hour: 4 });
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => app.request('GET', '/api/v1/usage', { key })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([
      ...Array(4).fill(200),
      ...Array(8).fill(429),
    ]);
  });

  it('gives a repeated write its first answer, and writes once for many attempts', async () => {
    const body = { plan_name: 'once' };
    const headers = { 'idempotency-key': 'without-redis' };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        app.request('POST', '/api/v1/routing-plans', { key: app.keys.acme.writer, body, headers }),
      ),
    );
    expect(answers.every(({ status }) => status === 201 || status === 409)).toBe(true);
    expect(await app.admin.core`select from routing_plans where plan_name = 'once'`).toHaveLength(1);
  });
});
