import { describe, expect, it } from 'vitest';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex, operator } = app.keys;
const keyIdOf = (credential: string): string => credential.split('_')[2] ?? '';

const make = (key: string, body: object, headers = {}): Promise<TestAnswer> =>
  app.request('POST', '/api/v1/api-keys', { key, body: { key_name: 'k', ...body }, headers });
const works = async (key: string): Promise<number> =>
  (await app.request('GET', '/api/v1/tenant-config', { key })).status;

/** A separate tenant, so that other tests do not change the number of its keys. */
async function makeTenant(tenantId: string): Promise<string> {
  const body = { tenant_id: tenantId, name: tenantId, plan_id: 'starter' };
  const made = await app.request('POST', '/api/v1/platform/tenants', { key: operator, body });
  expect(made.status).toBe(201);
  return made.body.owner_api_key as string;
}

describe('making a key', () => {
  it('shows the secret once, keeps only a hash, and the key works with just its permissions', async () => {
    const made = await make(acme.owner, { permissions: ['config:read'] });
    expect(made.status).toBe(201);
    const { api_key: credential, ...shown } = made.body;
    expect(credential).toMatch(/^cai_local_[a-z0-9]{20}_[a-z0-9]{40}$/);
    expect(shown).toMatchObject({
      status: 'active',
      permissions: ['config:read'],
      rate_limit_per_hour: 1000,
    });
    expect(await works(credential)).toBe(200);
    const refused = await app.request('POST', '/api/v1/mappings', { key: credential, body: {} });
    expect(refused.status).toBe(403);
    const list = await app.request('GET', '/api/v1/api-keys', { key: acme.owner });
    const listed = list.body.items.find((item: { key_id: string }) => item.key_id === shown.key_id);
    expect(listed).toMatchObject({ key_id: shown.key_id, key_prefix: shown.key_prefix });
    expect(JSON.stringify(list.body)).not.toMatch(/hash|"api_key"/);
    expect(list.body.items.some((item: { key_id: string }) => item.key_id === keyIdOf(globex.owner))).toBe(
      false,
    );
  });

  it('answers a repeated Idempotency-Key without the secret, which is not stored', async () => {
    const headers = { 'idempotency-key': 'make-one-key' };
    const first = await make(acme.owner, { permission_set: 'reader' }, headers);
    const second = await make(acme.owner, { permission_set: 'reader' }, headers);
    expect([second.status, second.body.key_id, second.body.api_key]).toEqual([201, first.body.key_id, null]);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    const secret = String(first.body.api_key).split('_')[3] ?? '';
    const kept = await app.admin.core`select count(*)::int as n from (
      select to_jsonb(i)::text as row from ops.idempotency i union all select to_jsonb(o)::text from ops.outbox o
      union all select to_jsonb(k)::text from api_keys k) all_rows where row like ${`%${secret}%`}`;
    expect(kept[0]).toEqual({ n: 0 });
  });

  it.each([
    ['one that the caller lacks', { permissions: ['records:read', 'platform:operate'] }, 403],
    ['a set and a list', { permissions: ['config:read'], permission_set: 'reader' }, 400],
    ['none', {}, 400],
    ['an unknown one', { permissions: ['everything'] }, 400],
    ['an expiry in the past', { permission_set: 'reader', expires_at: '2020-01-01T00:00:00Z' }, 400],
  ])('is refused for %s', async (_title, body, status) => {
    expect((await make(acme.owner, body)).status).toBe(status);
  });

  it('is refused to a key that cannot manage keys', async () => {
    expect((await make(acme.writer, { permission_set: 'reader' })).status).toBe(403);
  });

  it('is refused for more permissions than the caller’s, also to a key that manages keys', async () => {
    const manager = await app.makeKey('acme', ['api_keys:manage', 'config:read']);
    expect((await make(manager, { permission_set: 'owner' })).status).toBe(403);
    expect((await make(manager, { permissions: ['config:read'] })).status).toBe(201);
  });
});

describe('the last use of a key', () => {
  const lastUsed = async (key: string): Promise<unknown> => {
    const [row] = await app.admin.core`select last_used_at from api_keys where key_id = ${keyIdOf(key)}`;
    return row?.['last_used_at'];
  };

  it('is written with its first use, and at most once in a minute', async () => {
    const [key, other] = [
      await app.makeKey('acme', ['config:read']),
      await app.makeKey('acme', ['config:read']),
    ];
    expect(await works(key)).toBe(200);
    const first = await until(
      () => lastUsed(key),
      (at) => at !== null,
    );
    expect(Math.abs(Date.now() - Number(first))).toBeLessThan(60_000);
    await app.admin.core`update api_keys set last_used_at = null where key_id = ${keyIdOf(key)}`;
    for (let n = 0; n < 3; n++) expect(await works(key)).toBe(200);
    // What was sent before it is written by then.
    expect(await works(other)).toBe(200);
    await until(
      () => lastUsed(other),
      (at) => at !== null,
    );
    expect(await lastUsed(key)).toBeNull();
  });
});

describe('rotating a key', () => {
  it('makes a successor while the old key stays valid, and works once', async () => {
    const made = await make(acme.owner, { permissions: ['config:read'], rate_limit_per_hour: 77 });
    const path = `/api/v1/api-keys/${made.body.key_id}/rotate`;
    const rotated = await app.request('POST', path, { key: acme.owner });
    expect(rotated.status).toBe(201);
    expect(rotated.body).toMatchObject({
      key_name: 'k',
      permissions: ['config:read'],
      rate_limit_per_hour: 77,
      expires_at: null,
      replaces: { key_id: made.body.key_id },
    });
    const overlap = Date.parse(rotated.body.replaces.expires_at) - Date.parse(rotated.body.created_at);
    expect(overlap).toBe(86_400_000);
    expect([await works(made.body.api_key), await works(rotated.body.api_key)]).toEqual([200, 200]);
    const again = await app.request('POST', path, { key: acme.owner });
    expect([again.status, again.body.code]).toEqual([409, 'CONFLICT']);
  });

  it('does not let the old key outlive its own expiry', async () => {
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    const made = await make(acme.owner, { permissions: ['config:read'], expires_at });
    const path = `/api/v1/api-keys/${made.body.key_id}/rotate`;
    const rotated = await app.request('POST', path, { key: acme.owner, body: { expires_at: null } });
    expect([rotated.body.replaces.expires_at, rotated.body.expires_at]).toEqual([expires_at, null]);
  });

  it('ends the old key after the wanted overlap, of at most thirty days', async () => {
    const made = await make(acme.owner, { permissions: ['config:read'] });
    const path = `/api/v1/api-keys/${made.body.key_id}/rotate`;
    const rotate = (overlap_seconds: number): Promise<TestAnswer> =>
      app.request('POST', path, { key: acme.owner, body: { overlap_seconds } });
    for (const wrong of [-1, 0.5, 30 * 86_400 + 1]) expect((await rotate(wrong)).status).toBe(400);
    const rotated = await rotate(30 * 86_400);
    const overlap = Date.parse(rotated.body.replaces.expires_at) - Date.parse(rotated.body.created_at);
    expect(overlap).toBe(30 * 86_400_000);
  });

  it('ends the old key at once without an overlap', async () => {
    const made = await make(acme.owner, { permissions: ['config:read'] });
    expect(await works(made.body.api_key)).toBe(200);
    const path = `/api/v1/api-keys/${made.body.key_id}/rotate`;
    const rotated = await app.request('POST', path, { key: acme.owner, body: { overlap_seconds: 0 } });
    expect([await works(made.body.api_key), await works(rotated.body.api_key)]).toEqual([401, 200]);
  });

  it('gives neither another key’s greater permissions nor another tenant’s key', async () => {
    const manager = await app.makeKey('acme', ['api_keys:manage']);
    const path = `/api/v1/api-keys/${keyIdOf(acme.owner)}/rotate`;
    expect((await app.request('POST', path, { key: manager })).status).toBe(403);
    expect((await app.request('POST', path, { key: globex.owner })).status).toBe(404);
    expect(await works(acme.owner)).toBe(200);
  });
});

describe('a key gives at most its own rights', () => {
  const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();
  const limited = (columns = {}): Promise<string> =>
    app.makeKey('acme', ['api_keys:manage', 'config:read'], {
      rate_limit_per_hour: 50,
      rate_limit_per_day: 70,
      ...columns,
    });

  it.each<[string, object]>([
    ['a higher rate of the hour', { rate_limit_per_hour: 51 }],
    ['a higher rate of the day', { rate_limit_per_day: 71 }],
    ['a later expiry', { expires_at: inDays(11) }],
    ['no expiry', { expires_at: null }],
  ])('to a new key and, by rotation, to itself: %s', async (_what, wanted) => {
    const key = await limited({ expires_at: inDays(10) });
    const made = await make(key, { permissions: ['config:read'], ...wanted });
    expect([made.status, made.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    expect(made.body.detail).toContain(Object.keys(wanted)[0]);
    if (!('expires_at' in wanted)) return;
    const path = `/api/v1/api-keys/${keyIdOf(key)}/rotate`;
    const rotated = await app.request('POST', path, { key, body: wanted });
    expect([rotated.status, rotated.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
  });

  it('an absent limit is its own, or the default if that is lower', async () => {
    const expires_at = inDays(10);
    const made = await make(await limited({ expires_at }), { permissions: ['config:read'] });
    expect(made.body).toMatchObject({ rate_limit_per_hour: 50, rate_limit_per_day: 70, expires_at });
    const lasting = await make(acme.owner, { permissions: ['config:read'] });
    expect(lasting.body).toMatchObject({
      rate_limit_per_hour: 1000,
      rate_limit_per_day: 10_000,
      expires_at: null,
    });
  });

  it('a key that expires cannot extend itself by rotation; a lasting key can extend it', async () => {
    const expires_at = inDays(10);
    const [own, others] = [await limited({ expires_at }), await limited({ expires_at })];
    const rotate = (key: string, target: string): Promise<TestAnswer> =>
      app.request('POST', `/api/v1/api-keys/${keyIdOf(target)}/rotate`, { key });
    expect((await rotate(own, own)).body.expires_at).toBe(expires_at);
    const prolonged = await rotate(acme.owner, others);
    expect(Date.parse(prolonged.body.expires_at)).toBeGreaterThanOrEqual(Date.parse(expires_at));
  });

  it('another key’s higher rate or later expiry cannot be obtained by rotating it', async () => {
    const key = await limited({ expires_at: inDays(10) });
    for (const columns of [
      { rate_limit_per_hour: 51, expires_at: inDays(5) },
      { rate_limit_per_day: 71, expires_at: inDays(5) },
      { expires_at: null },
    ]) {
      const target = await limited(columns);
      const path = `/api/v1/api-keys/${keyIdOf(target)}/rotate`;
      expect((await app.request('POST', path, { key })).status).toBe(403);
      expect(await works(target)).toBe(200);
    }
  });
});

describe('revoking a key', () => {
  it('ends it at once; a repeated call changes nothing; another tenant cannot do it', async () => {
    const made = await make(acme.owner, { permissions: ['config:read'] });
    const path = `/api/v1/api-keys/${made.body.key_id}`;
    expect(await works(made.body.api_key)).toBe(200);
    expect((await app.request('DELETE', path, { key: globex.owner })).status).toBe(404);
    expect((await app.request('DELETE', path, { key: acme.owner })).status).toBe(204);
    expect(await works(made.body.api_key)).toBe(401);
    expect((await app.request('DELETE', path, { key: acme.owner })).status).toBe(204);
    const rotate = await app.request('POST', `${path}/rotate`, { key: acme.owner });
    expect(rotate.status).toBe(409);
    const entries = await until(
      () =>
        app.admin
          .core`select action from audit_logs where resource_id = ${made.body.key_id} order by created_at`,
      (rows) => rows.length >= 3,
    );
    expect(entries.map((entry) => entry['action'])).toEqual([
      'api_key.created',
      'api_key.revoked',
      'api_key.revoked',
    ]);
  });

  it('is refused for the last key that manages keys, also if two keys revoke each other at once', async () => {
    const first = await makeTenant('lonely');
    const revoke = (key: string, target: string): Promise<TestAnswer> =>
      app.request('DELETE', `/api/v1/api-keys/${keyIdOf(target)}`, { key });
    const last = await revoke(first, first);
    expect([last.status, last.body.code]).toEqual([409, 'CONFLICT']);
    const second = (await make(first, { permission_set: 'owner' })).body.api_key as string;
    const answers = await Promise.all([revoke(first, second), revoke(second, first)]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([204, 409]);
    expect([await works(first), await works(second)].sort()).toEqual([200, 401]);
  });
});

describe('a tenant keeps a key that manages keys and lasts for another week', () => {
  const MANAGER = ['api_keys:manage', 'config:read'] as const;
  const inDays = (days: number): Date => new Date(Date.now() + days * 86_400_000);
  const revoke = async (key: string, target: string): Promise<number> =>
    (await app.request('DELETE', `/api/v1/api-keys/${keyIdOf(target)}`, { key })).status;
  const rotate = async (key: string, target: string, body: object): Promise<number> =>
    (await app.request('POST', `/api/v1/api-keys/${keyIdOf(target)}/rotate`, { key, body })).status;

  it.each([
    [6, 409],
    [8, 204],
  ])('if another one is valid for %i days: revoking the lasting one is %i', async (days, expected) => {
    const tenant = `keeps-${days}`;
    const lasting = await makeTenant(tenant);
    await app.makeKey(tenant, MANAGER, { expires_at: inDays(days) });
    expect(await revoke(lasting, lasting)).toBe(expected);
  });

  it('also against rotation to one that ends soon', async () => {
    const lasting = await makeTenant('keeps-rotated');
    const soon = { expires_at: inDays(1).toISOString(), overlap_seconds: 0 };
    expect(await rotate(lasting, lasting, soon)).toBe(409);
    expect(await rotate(lasting, lasting, { overlap_seconds: 0 })).toBe(201);
  });

  it('if the last two are revoked, or rotated to short ones, at once', async () => {
    const soon = { expires_at: inDays(1).toISOString(), overlap_seconds: 0 };
    for (const [tenant, end] of [
      ['keeps-revoking', revoke],
      ['keeps-rotating', (key: string, target: string) => rotate(key, target, soon)],
    ] as const) {
      const first = await makeTenant(tenant);
      const second = (await make(first, { permission_set: 'owner' })).body.api_key as string;
      await app.makeKey(tenant, MANAGER, { expires_at: inDays(1) });
      const statuses = await Promise.all([end(first, second), end(second, first)]);
      expect([tenant, statuses.filter((status) => status < 300).length]).toEqual([tenant, 1]);
      expect([await works(first), await works(second)].filter((status) => status === 200)).toHaveLength(1);
    }
  });

  it('and a key that ends soon may be revoked as long as it is not the last', async () => {
    const first = await makeTenant('keeps-short');
    const short = await app.makeKey('keeps-short', MANAGER, { expires_at: inDays(1) });
    expect(await revoke(first, short)).toBe(204);
  });
});

describe('making a tenant', () => {
  it('gives it a key, a data key, settings, allowances and its plan’s subscription', async () => {
    const body = { tenant_id: 'initech', name: 'Initech', plan_id: 'professional' };
    const headers = { 'idempotency-key': 'initech' };
    const sent = { key: operator, body, headers };
    const made = await app.request('POST', '/api/v1/platform/tenants', sent);
    expect([made.status, made.headers.get('location')]).toEqual([201, '/api/v1/platform/tenants/initech']);
    const owner: string = made.body.owner_api_key;
    const mapping = { detector: 'd', source_data: 'sealed', model_version: 'v1' };
    const recorded = await app.request('POST', '/api/v1/mappings', { key: owner, body: mapping });
    expect(recorded.status).toBe(201);
    const subscriptions = await app.admin
      .billing`select plan_id, status from user_subscriptions where tenant_id = 'initech'`;
    expect(subscriptions).toEqual([{ plan_id: 'professional', status: 'active' }]);
    const [allowances] = await app.admin
      .billing`select count(*)::int as n from free_tier_usage where tenant_id = 'initech'`;
    expect(allowances).toEqual({ n: 4 });
    const replayed = await app.request('POST', '/api/v1/platform/tenants', sent);
    expect([replayed.status, replayed.body.owner_api_key]).toEqual([201, null]);
    const again = await app.request('POST', '/api/v1/platform/tenants', { key: operator, body });
    expect([again.status, again.body.code]).toEqual([409, 'CONFLICT']);
    const trails = await until(
      () =>
        app.admin
          .core`select tenant_id from audit_logs where action = 'tenant.created' and resource_id = 'initech' order by 1`,
      (rows) => rows.length === 2,
    );
    expect(trails.map((row) => row['tenant_id'])).toEqual(['initech', 'platform']);
  });

  it('is completed by a retry after an attempt that stopped between the databases', async () => {
    // Such an attempt leaves billing rows, possibly of another plan, and nothing in core.
    await app.admin.billing`insert into user_subscriptions
      (tenant_id, subscription_id, plan_id, status, current_period_start, current_period_end)
      values ('half', gen_random_uuid(), 'professional', 'active', now(), now() + interval '1 month')`;
    await makeTenant('half');
    const rows = await app.admin
      .billing`select plan_id, status from user_subscriptions where tenant_id = 'half' order by 1`;
    expect(rows).toEqual([
      { plan_id: 'professional', status: 'canceled' },
      { plan_id: 'starter', status: 'active' },
    ]);
  });

  it.each([
    ['the platform’s id', { tenant_id: 'platform', name: 'x' }, 400],
    ['an id that is no slug', { tenant_id: 'Not A Slug', name: 'x' }, 400],
    ['an unknown plan', { tenant_id: 'nobody', name: 'x', plan_id: 'platinum' }, 400],
  ])('is refused for %s', async (_title, body, status) => {
    expect((await app.request('POST', '/api/v1/platform/tenants', { key: operator, body })).status).toBe(
      status,
    );
    expect(await app.admin.core`select from tenants where tenant_id = 'nobody'`).toHaveLength(0);
  });

  it('and reading tenants need an operator', async () => {
    const path = '/api/v1/platform/tenants';
    const refused = await app.request('POST', path, { key: acme.owner, body: { tenant_id: 'x', name: 'x' } });
    expect(refused.status).toBe(403);
    expect((await app.request('GET', path, { key: acme.owner })).status).toBe(403);
    const list = await app.request('GET', `${path}?plan_id=free`, { key: operator });
    expect(list.body.items.map((item: { tenant_id: string }) => item.tenant_id)).toEqual(['globex']);
    const one = await app.request('GET', `${path}/acme`, { key: operator });
    expect(one.body).toMatchObject({ tenant_id: 'acme', plan_id: 'professional', status: 'active' });
  });
});
