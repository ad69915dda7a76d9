import { beforeAll, describe, expect, it } from 'vitest';
import { SESSION_COOKIE } from '../shared/platform/auth/session-token.ts';
import { endSessions } from '../shared/domains/identity/sessions/end-sessions.ts';
import { openSession } from '../shared/domains/identity/sessions/open-session.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { openServices } from '../functions/services.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp({ settings: { SESSION_ORIGINS: 'https://console.example' } });
const { core } = app.admin;

/** A person with roles in a tenant, and the token of a session there. */
async function signIn(tenantId: string, roles: Readonly<Record<string, Date | null>>, now = new Date()) {
  const userId = newId();
  await core`insert into users (user_id, email, is_verified) values (${userId}, ${`${userId}@example.com`}, true)`;
  for (const [role, expires] of Object.entries(roles))
    await core`insert into user_role_assignments (tenant_id, user_id, role_name, expires_at) values (${tenantId}, ${userId}, ${role}, ${expires})`;
  const origin = { traceId: '0', ip: '192.0.2.1', userAgent: 'test' };
  const session = await app.services.crossTenant.core.transaction((transaction) =>
    openSession(app.services, transaction, { tenantId, userId, methods: ['pwd'], origin }, now),
  );
  return { userId, ...session };
}

const list = (key: string, what = 'records') => app.request('GET', `/api/v1/${what}`, { key });

describe('a session', () => {
  it('lets a person do what the roles in its tenant allow', async () => {
    const viewer = await signIn('acme', { viewer: null });
    expect(await list(viewer.token)).toMatchObject({ status: 200 });
    expect(await list(viewer.token, 'api-keys')).toMatchObject({
      status: 403,
      body: { code: 'INSUFFICIENT_RBAC' },
    });
    const auditor = await signIn('acme', { auditor: null, billing_admin: null });
    expect(await list(auditor.token, 'billing/invoices')).toMatchObject({ status: 200 });
  });

  it('is for its tenant only, and names its person in the audit trail', async () => {
    const viewer = await signIn('globex', { admin: null });
    const made = await app.request('POST', '/api/v1/api-keys', {
      key: viewer.token,
      body: { key_name: 'mine', permissions: ['records:read'] },
    });
    expect(made).toMatchObject({ status: 201, body: { created_by: `user:${viewer.userId}` } });
    const other = await app.request('GET', '/api/v1/records?tenant_id=acme', { key: viewer.token });
    expect(other).toMatchObject({ status: 403, body: { code: 'TENANT_MISMATCH' } });
    const trail = await until(
      async () =>
        core`select user_id, actor from audit_logs where action = 'api_key.created' and tenant_id = 'globex'`,
      (rows) => rows.length === 1,
    );
    expect(trail).toMatchObject([{ user_id: viewer.userId, actor: `user:${viewer.userId}` }]);
  });

  it.each([
    ['malformed', () => 'cas_x', 'is not a token'],
    ['of nobody', (token: string) => token.replace(/^cas_.{20}/, `cas_${'a'.repeat(20)}`), 'is not known'],
    ['with another secret', (token: string) => token.replace(/.{40}$/, 'b'.repeat(40)), 'is not known'],
  ])('%s is refused', async (_, change, reason) => {
    const { token } = await signIn('acme', { viewer: null });
    const refused = await list(change(token));
    expect(refused).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } });
    expect(refused.body.detail).toContain(reason);
  });

  it('ends after its hours, and when nobody uses it', async () => {
    const hours = (n: number) => new Date(Date.now() - n * 3_600_000);
    const old = await signIn('acme', { viewer: null }, hours(12));
    expect(await list(old.token)).toMatchObject({ status: 401 });
    const idle = await signIn('acme', { viewer: null }, new Date(Date.now() - 30 * 60_000));
    expect(await list(idle.token)).toMatchObject({ status: 401 });
    const used = await signIn('acme', { viewer: null }, new Date(Date.now() - 29 * 60_000));
    expect(await list(used.token)).toMatchObject({ status: 200 });
    const [row] = await until(
      () => core`select idle_expires_at from user_sessions where session_id = ${used.sessionId}`,
      ([{ idle_expires_at: end } = {}]) => (end as Date).getTime() > Date.now() + 29 * 60_000,
    );
    expect(row).toBeDefined();
  });

  it('loses a role at the second that the role ends', async () => {
    const end = new Date(Date.now() + 1_200);
    const person = await signIn('acme', { viewer: null, admin: end });
    expect(await list(person.token, 'me')).toMatchObject({ body: { permissions_until: end.toISOString() } });
    expect(await list(person.token, 'api-keys')).toMatchObject({ status: 200 });
    await until(
      () => list(person.token, 'api-keys'),
      ({ status }) => status === 403,
    );
    expect(Date.now()).toBeGreaterThanOrEqual(end.getTime());
    expect(Date.now()).toBeLessThan(end.getTime() + 1_000);
    expect(await list(person.token)).toMatchObject({ status: 200 });
    expect(await list(person.token, 'me')).toMatchObject({
      body: { roles: ['viewer'], permissions_until: null },
    });
  });

  it('is refused without any role left, and for a person who is not active', async () => {
    const person = await signIn('acme', { viewer: null });
    await core`update user_role_assignments set is_active = false, ended_at = now() where user_id = ${person.userId}`;
    expect(await list(person.token)).toMatchObject({ status: 401 });
    const inactive = await signIn('acme', { viewer: null });
    await core`update users set is_active = false where user_id = ${inactive.userId}`;
    expect(await list(inactive.token)).toMatchObject({ status: 401 });
  });
});

describe('a cookie', () => {
  const ask = (method: string, token: string, headers: Record<string, string>, body?: unknown) =>
    app.request(method, method === 'GET' ? '/api/v1/records' : '/api/v1/api-keys', {
      headers: { cookie: `other=1; ${SESSION_COOKIE}=${token}`, ...headers },
      body,
    });
  const KEY = { key_name: 'by cookie', permissions: ['records:read'] };

  it('counts like the token, and changes something only from an own page', async () => {
    const { token, userId } = await signIn('acme', { admin: null });
    expect(await ask('GET', token, {})).toMatchObject({ status: 200 });
    expect(await ask('POST', token, { origin: 'https://console.example' }, KEY)).toMatchObject({
      status: 201,
    });
    expect(await ask('POST', token, { 'sec-fetch-site': 'same-origin' }, KEY)).toMatchObject({ status: 201 });
    for (const headers of [
      {},
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site' },
    ] as Record<string, string>[])
      expect(await ask('POST', token, headers, KEY)).toMatchObject({ status: 403 });
    const denied = await until(
      () => core`select tenant_id, actor, outcome, details from audit_logs
        where user_id = ${userId} and action = 'session.denied'`,
      (rows) => rows.length > 0,
    );
    // Once a minute, so that a page cannot fill the trail.
    expect([1, 2]).toContain(denied.length);
    expect(denied[0]).toEqual({
      tenant_id: 'acme',
      actor: `user:${userId}`,
      outcome: 'denied',
      details: { credential: 'cookie', reason: 'other_origin' },
    });
  });
});

describe('a session that was ended', () => {
  const others = [
    openServices(app.settings),
    openServices({ ...app.settings, REDIS_URL: undefined }),
  ] as const;
  beforeAll(() => () => Promise.all(others.map((services) => services.close())));

  it('is refused everywhere within 5 s: with Redis within 2 s, and without Redis too', async () => {
    const { token, userId } = await signIn('acme', { viewer: null });
    const request = { method: 'GET', headers: new Headers({ authorization: `Bearer ${token}` }) };
    const isKnown = async (services: (typeof others)[number]): Promise<boolean> => {
      const now = new Date();
      return Promise.resolve(services.authenticator.authenticate(request, now)).then(
        () => true,
        () => false,
      );
    };
    for (const services of others) expect(await isKnown(services)).toBe(true);
    await app.services.crossTenant.core.transaction((transaction) =>
      endSessions(transaction, { userId }, 'user:test', new Date()),
    );
    const ended = Date.now();
    app.services.credentials.forgetPerson(userId);
    const [shared, alone] = others;
    await until(
      () => isKnown(shared),
      (known) => !known,
      2,
    );
    await until(
      () => isKnown(alone),
      (known) => !known,
      5,
    );
    expect(Date.now() - ended).toBeLessThan(5_000);
  });
});

describe('a key that a person made', () => {
  it('has only what the person still holds, and nothing when the person has left', async () => {
    const maker = await signIn('acme', { admin: null, viewer: null });
    const made = await app.request('POST', '/api/v1/api-keys', {
      key: maker.token,
      body: { key_name: 'deputy', permissions: ['records:read', 'api_keys:read', 'api_keys:manage'] },
    });
    const key = made.body.api_key as string;
    const second = await app.request('POST', '/api/v1/api-keys', {
      key,
      body: { key_name: 'deputy of the deputy', permissions: ['api_keys:read', 'api_keys:manage'] },
    });
    expect(await list(key, 'api-keys')).toMatchObject({ status: 200 });
    await core`update user_role_assignments set is_active = false, ended_at = now()
                where user_id = ${maker.userId} and role_name = 'admin'`;
    app.services.credentials.forgetPerson(maker.userId);
    for (const one of [key, second.body.api_key as string])
      await until(
        () => list(one, 'api-keys'),
        ({ status }) => status === 403,
        3,
      );
    expect(await list(key)).toMatchObject({ status: 200 });
    await core`update user_role_assignments set is_active = false, ended_at = now()
                where user_id = ${maker.userId} and is_active`;
    app.services.credentials.forgetPerson(maker.userId);
    await until(
      () => list(key),
      ({ status }) => status === 401,
      3,
    );
  });
});
