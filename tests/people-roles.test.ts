import { beforeEach, describe, expect, it } from 'vitest';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';
import { makeTenant, openSessionOf, signIn, type TestMember } from './harness/members.ts';

const app = await startTestApp();
const { core } = app.admin;
const { acme, globex, operator } = app.keys;

const ask = (method: string, path: string, key: string, body?: unknown, headers = {}): Promise<TestAnswer> =>
  app.request(method, `/api/v1/${path}`, { key, body, headers });
let made = 0;
/** A tenant of its own, so that tests do not change each other's owners. */
async function freshTenant(): Promise<{ id: string; key: string }> {
  made += 1;
  const id = `people-${made}`;
  return { id, key: await makeTenant(app, id) };
}
const statusesOf = (answers: readonly TestAnswer[]): number[] => answers.map(({ status }) => status).sort();
const ownersOf = async (tenantId: string): Promise<string[]> =>
  (
    await core`select a.user_id from user_role_assignments a join users u on u.user_id = a.user_id
      where a.tenant_id = ${tenantId} and a.role_name = 'admin' and a.is_active and a.expires_at is null and u.is_active`
  ).map((row) => String(row['user_id']));

describe('a role of a tenant’s own', () => {
  const ROLE = {
    role_name: 'reviewer',
    description: 'Reviews.',
    permissions: ['mappings:read', 'mappings:review'],
  };

  it('is made, read with its ETag, listed with the seeded ones, changed and deleted', async () => {
    const { key } = await freshTenant();
    const created = await ask('POST', 'roles', key, ROLE);
    expect(created).toMatchObject({ status: 201, body: { ...ROLE, is_system_role: false } });
    expect(created.headers.get('location')).toBe('/api/v1/roles/reviewer');
    const read = await ask('GET', 'roles/reviewer', key);
    expect(read.headers.get('etag')).toBe('"1"');
    expect(await ask('GET', 'roles/reviewer', key, undefined, { 'if-none-match': '"1"' })).toMatchObject({
      status: 304,
    });
    const list = await ask('GET', 'roles?sort=created_at', key);
    expect(list.body.items.map(({ role_name }: { role_name: string }) => role_name)).toEqual(
      expect.arrayContaining(['admin', 'auditor', 'billing_admin', 'operator', 'user', 'viewer', 'reviewer']),
    );
    const change = { description: '', permissions: ['mappings:read'] };
    expect(await ask('PUT', 'roles/reviewer', key, change)).toMatchObject({ status: 400 });
    expect(await ask('PUT', 'roles/reviewer', key, change, { 'if-match': '"7"' })).toMatchObject({
      status: 412,
    });
    expect(await ask('PUT', 'roles/reviewer', key, change, { 'if-match': '"1"' })).toMatchObject({
      status: 200,
      body: { permissions: ['mappings:read'], etag: '"2"' },
    });
    expect(await ask('DELETE', 'roles/reviewer', key, undefined, { 'if-match': '"1"' })).toMatchObject({
      status: 412,
    });
    expect(await ask('DELETE', 'roles/reviewer', key, undefined, { 'if-match': '"2"' })).toMatchObject({
      status: 204,
    });
    expect(await ask('GET', 'roles/reviewer', key)).toMatchObject({ status: 404 });
  });

  it('pages by its cursor, each role once', async () => {
    const { key } = await freshTenant();
    for (let n = 0; n < 4; n++) await ask('POST', 'roles', key, { ...ROLE, role_name: `own_${n}` });
    const names: string[] = [];
    for (let path = '/api/v1/roles?limit=3'; path !== '';) {
      const page = await app.request('GET', path, { key });
      names.push(...page.body.items.map(({ role_name }: { role_name: string }) => role_name));
      path = /<([^>]*)>/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    }
    expect(names).toHaveLength(10);
    expect(new Set(names).size).toBe(10);
  });

  it.each([
    ['the platform’s permission', { permissions: ['platform:operate'] }, 400],
    ['an unknown permission', { permissions: ['everything'] }, 400],
    ['no permission', { permissions: [] }, 400],
    ['an upper-case name', { role_name: 'Reviewer' }, 400],
    ['a name with 64 characters', { role_name: 'a'.repeat(64) }, 400],
    ['a description of a megabyte', { description: 'x'.repeat(1_000_000) }, 413],
    ['an unknown field', { is_system_role: true }, 400],
    ['the name of a seeded role', { role_name: 'auditor' }, 409],
    ['the tenant of another', { tenant_id: 'globex' }, 403],
  ])('is refused with %s', async (_what, part, status) => {
    expect((await ask('POST', 'roles', acme.owner, { ...ROLE, role_name: 'refused', ...part })).status).toBe(
      status,
    );
  });

  it('has, before and after each change, only what its maker holds, and for good', async () => {
    const { id, key } = await freshTenant();
    const manager = await app.makeKey(id, ['roles:manage', 'users:read', 'mappings:read']);
    const more = { ...ROLE, role_name: 'more', permissions: ['mappings:read', 'records:read'] };
    expect(await ask('POST', 'roles', manager, more)).toMatchObject({
      status: 403,
      body: { code: 'INSUFFICIENT_RBAC', detail: expect.stringContaining('records:read') },
    });
    expect((await ask('POST', 'roles', key, more)).status).toBe(201);
    const less = { description: '', permissions: ['mappings:read'] };
    const any = { 'if-match': '*' };
    expect((await ask('PUT', 'roles/more', manager, less, any)).status).toBe(403);
    expect((await ask('DELETE', 'roles/more', manager, undefined, any)).status).toBe(403);
    expect((await ask('POST', 'roles', manager, { ...less, role_name: 'less' })).status).toBe(201);
    const widened = { description: '', permissions: ['mappings:read', 'records:read'] };
    expect((await ask('PUT', 'roles/less', manager, widened, any)).status).toBe(403);
    const deputy = await signIn(app, id, { admin: new Date(Date.now() + 3_600_000) });
    expect(await ask('PUT', 'roles/less', deputy.token, widened, any)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('for longer') },
    });
  });

  it('of every tenant is changed by nobody, the platform’s owners included', async () => {
    const any = { 'if-match': '*' };
    const body = { description: '', permissions: ['records:read'] };
    const owner = await signIn(app, 'platform', { admin: null });
    for (const key of [acme.owner, owner.token]) {
      expect(await ask('PUT', 'roles/viewer', key, body, any)).toMatchObject({ status: 403 });
      expect(await ask('DELETE', 'roles/viewer', key, undefined, any)).toMatchObject({ status: 403 });
    }
    expect((await ask('POST', 'roles', owner.token, { ...ROLE, role_name: 'for_all' })).status).toBe(403);
  });

  it('is not another tenant’s', async () => {
    const { key } = await freshTenant();
    await ask('POST', 'roles', key, { ...ROLE, role_name: 'secret_role' });
    const any = { 'if-match': '*' };
    expect((await ask('GET', 'roles/secret_role', globex.owner)).status).toBe(404);
    expect(
      (await ask('PUT', 'roles/secret_role', globex.owner, { permissions: ['records:read'] }, any)).status,
    ).toBe(404);
    expect((await ask('DELETE', 'roles/secret_role', globex.owner, undefined, any)).status).toBe(404);
  });

  it('takes effect for its holders when it is changed, and cannot be deleted while it is used', async () => {
    const { id, key } = await freshTenant();
    await ask('POST', 'roles', key, ROLE);
    const person = await signIn(app, id, { reviewer: null });
    expect((await ask('GET', 'mappings', person.token)).status).toBe(200);
    const any = { 'if-match': '*' };
    await ask('PUT', 'roles/reviewer', key, { permissions: ['records:read'] }, any);
    // The instance that made the change knows it at once.
    expect((await ask('GET', 'mappings', person.token)).status).toBe(403);
    expect((await ask('GET', 'records', person.token)).status).toBe(200);
    const gone = (): Promise<TestAnswer> => ask('DELETE', 'roles/reviewer', key, undefined, any);
    expect(await gone()).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('somebody has it') },
    });
    await core`update user_role_assignments set expires_at = now() where user_id = ${person.userId}`;
    const invited = await ask('POST', 'invitations', key, {
      email: `${newId()}@example.com`,
      roles: ['reviewer'],
    });
    expect(await gone()).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('invitation') },
    });
    await ask('DELETE', `invitations/${invited.body.invitation_id}`, key);
    expect((await gone()).status).toBe(204);
  });

  it('is either given or deleted, if both happen at once', async () => {
    const { id, key } = await freshTenant();
    for (let n = 0; n < 6; n++) {
      await ask('POST', 'roles', key, ROLE);
      const person = await signIn(app, id, { viewer: null });
      const [given, deleted] = await Promise.all([
        ask('POST', `users/${person.userId}/roles`, key, { role_name: 'reviewer' }),
        ask('DELETE', 'roles/reviewer', key, undefined, { 'if-match': '*' }),
      ]);
      expect([
        [201, 409],
        [400, 204],
      ]).toContainEqual([given.status, deleted.status]);
      await ask('DELETE', `users/${person.userId}/roles/reviewer`, key);
      await ask('DELETE', 'roles/reviewer', key, undefined, { 'if-match': '*' });
    }
  });

  it('of the platform’s operators counts in no other tenant', async () => {
    const intruder = await signIn(app, 'acme', { operator: null, admin: null });
    expect((await ask('GET', 'platform/tenants', intruder.token)).status).toBe(403);
    const other = await signIn(app, 'acme', { viewer: null });
    const body = { role_name: 'operator' };
    expect((await ask('POST', `users/${other.userId}/roles`, acme.owner, body)).status).toBe(400);
    const colleague = await signIn(app, 'platform', { viewer: null });
    expect((await ask('POST', `users/${colleague.userId}/roles`, operator, body)).status).toBe(201);
    await until(
      () => ask('GET', 'platform/tenants', colleague.token),
      ({ status }) => status === 200,
    );
  });
});

describe('the members of a tenant', () => {
  it('are those with a live role, with what the tenant may know of them', async () => {
    const { id, key } = await freshTenant();
    const viewer = await signIn(app, id, { viewer: null }, { first_name: 'Vera', last_login_at: new Date() });
    const locked = await signIn(
      app,
      id,
      { user: null, auditor: new Date(Date.now() + 60_000) },
      {
        locked_until: new Date(Date.now() + 60_000),
      },
    );
    const inactive = await signIn(app, id, { viewer: null }, { is_active: false });
    const expired = await signIn(app, id, { viewer: new Date(Date.now() - 1_000) });
    const elsewhere = await signIn(app, 'globex', { viewer: null });
    await core`insert into ops.user_totp (user_id, secret_sealed, encryption_key_id, confirmed_at) values (${viewer.userId}, 'x', ${newId()}, now())`;
    const idsOf = async (query: string): Promise<string[]> =>
      (await ask('GET', `users${query}`, key)).body.items.map(({ user_id }: { user_id: string }) => user_id);
    expect((await idsOf('')).sort()).toEqual([viewer, locked, inactive].map(({ userId }) => userId).sort());
    expect(await idsOf('?status=active')).toEqual([viewer.userId]);
    expect(await idsOf('?status=locked')).toEqual([locked.userId]);
    expect(await idsOf('?status=inactive')).toEqual([inactive.userId]);
    expect(await idsOf('?role=auditor')).toEqual([locked.userId]);
    expect(await idsOf(`?email=${viewer.email.toUpperCase()}`)).toEqual([viewer.userId]);
    expect((await ask('GET', 'users?status=gone', key)).status).toBe(400);
    const read = await ask('GET', `users/${viewer.userId.toUpperCase()}`, key);
    expect(read).toMatchObject({
      status: 200,
      body: {
        user_id: viewer.userId,
        first_name: 'Vera',
        status: 'active',
        has_second_factor: true,
        roles: [{ role_name: 'viewer', source: 'assigned', expires_at: null }],
      },
    });
    expect(JSON.stringify(read.body)).not.toMatch(/password|failed/);
    for (const stranger of [expired, elsewhere])
      expect((await ask('GET', `users/${stranger.userId}`, key)).status).toBe(404);
    const page = await ask('GET', 'users?limit=2&sort=created_at', key);
    const next = /<([^>]*)>/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    expect((await app.request('GET', next, { key })).body.items).toHaveLength(1);
    expect((await ask('GET', 'users', viewer.token)).status).toBe(403);
  });

  it('get roles with an end to the second, and lose them, and each change is in the trail with who did it', async () => {
    const { id } = await freshTenant();
    const owner = await signIn(app, id, { admin: null });
    const person = await signIn(app, id, { viewer: null });
    const path = `users/${person.userId}/roles`;
    const end = new Date(Date.now() + 1_500);
    expect(
      await ask('POST', path, owner.token, { role_name: 'admin', expires_at: end.toISOString() }),
    ).toMatchObject({
      status: 201,
      body: { role_name: 'admin', status: 'active', assigned_by: `user:${owner.userId}` },
    });
    expect((await ask('GET', 'api-keys', person.token)).status).toBe(200);
    await until(
      () => ask('GET', 'api-keys', person.token),
      ({ status }) => status === 403,
      4,
    );
    expect(Date.now()).toBeGreaterThanOrEqual(end.getTime());
    expect((await ask('POST', path, owner.token, { role_name: 'user' })).status).toBe(201);
    const later = new Date(Date.now() + 3_600_000).toISOString();
    expect((await ask('POST', path, owner.token, { role_name: 'user', expires_at: later })).status).toBe(200);
    expect((await ask('DELETE', `${path}/user`, owner.token)).status).toBe(204);
    expect((await ask('DELETE', `${path}/user`, owner.token)).status).toBe(404);
    const { items } = (await ask('GET', path, owner.token)).body;
    expect(items.map(({ role_name, status }: Record<string, string>) => [role_name, status]).sort()).toEqual([
      ['admin', 'expired'],
      ['user', 'ended'],
      ['viewer', 'active'],
    ]);
    const trail = await until(
      () =>
        core`select action, user_id, details from audit_logs where tenant_id = ${id} and resource_id = ${person.userId} order by created_at`,
      (rows) => rows.length >= 4,
    );
    expect(trail.map(({ action, user_id }) => [action, user_id])).toEqual([
      ['user.role_assigned', owner.userId],
      ['user.role_assigned', owner.userId],
      ['user.role_changed', owner.userId],
      ['user.role_ended', owner.userId],
    ]);
  });

  it.each<[string, unknown, number]>([
    ['an unknown role', { role_name: 'no_such_role' }, 400],
    ['an end in the past', { role_name: 'viewer', expires_at: '2020-01-01T00:00:00Z' }, 400],
    ['no role', {}, 400],
    ['text', 'viewer', 400],
    ['a list', [], 400],
    ['too many bytes', { role_name: 'viewer', note: 'x'.repeat(300_000) }, 413],
  ])('do not get a role by a request with %s', async (_what, body, status) => {
    const person = await signIn(app, 'acme', { viewer: null });
    expect((await ask('POST', `users/${person.userId}/roles`, acme.owner, body)).status).toBe(status);
  });

  it('are given and taken only what the caller holds, and not for longer', async () => {
    const { id, key } = await freshTenant();
    const staff = { role_name: 'staff', permissions: ['users:read', 'users:manage', 'records:read'] };
    expect((await ask('POST', 'roles', key, staff)).status).toBe(201);
    const manager = await signIn(app, id, { staff: null });
    const owner = await signIn(app, id, { admin: null });
    const other = await signIn(app, id, { admin: null, viewer: null });
    const path = `users/${other.userId}/roles`;
    expect((await ask('POST', path, manager.token, { role_name: 'staff' })).status).toBe(201);
    expect((await ask('POST', path, manager.token, { role_name: 'user' })).status).toBe(403);
    expect(
      (await ask('POST', `users/${manager.userId}/roles`, manager.token, { role_name: 'admin' })).status,
    ).toBe(403);
    expect((await ask('DELETE', `${path}/admin`, manager.token)).status).toBe(403);
    expect((await ask('DELETE', `users/${other.userId}`, manager.token)).status).toBe(403);
    expect((await ask('DELETE', `${path}/staff`, manager.token)).status).toBe(204);
    const end = new Date(Date.now() + 3_600_000);
    const deputy = await signIn(app, id, { admin: end });
    const self = `users/${deputy.userId}/roles`;
    expect((await ask('POST', self, deputy.token, { role_name: 'admin' })).status).toBe(403);
    const until = { role_name: 'auditor', expires_at: end.toISOString() };
    expect((await ask('POST', self, deputy.token, until)).status).toBe(201);
    // An owner holds everything, and so can remove an auditor.
    expect((await ask('DELETE', `${self}/auditor`, owner.token)).status).toBe(204);
  });

  it('are removed with their roles, sessions and invitations here, and stay in their other tenants', async () => {
    const { id, key } = await freshTenant();
    const person = await signIn(app, id, { viewer: null, user: null });
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values ('globex', ${person.userId}, 'viewer')`;
    const elsewhere = await openSessionOf(app, 'globex', person.userId);
    await core`insert into ops.invitations (tenant_id, invitation_id, email, roles, token_hash, expires_at)
      values (${id}, ${newId()}, ${person.email}, '{user}', 'x', now() + interval '1 day')`;
    expect((await ask('DELETE', `users/${person.userId}`, acme.owner)).status).toBe(404);
    expect((await ask('DELETE', `users/${person.userId.toUpperCase()}`, key)).status).toBe(204);
    expect((await ask('DELETE', `users/${person.userId}`, key)).status).toBe(404);
    expect((await ask('GET', 'records', person.token)).status).toBe(401);
    expect((await ask('GET', 'records', elsewhere.token)).status).toBe(200);
    const [invitation] = await core`select revoked_by from ops.invitations where email = ${person.email}`;
    expect(invitation?.['revoked_by']).toMatch(/^key:/);
    const back = await ask('POST', `users/${person.userId}/roles`, key, { role_name: 'viewer' });
    expect(back.status).toBe(404);
  });

  it('lose their sessions with their last role', async () => {
    const person = await signIn(app, 'acme', { viewer: null });
    expect((await ask('DELETE', `users/${person.userId}/roles/viewer`, acme.owner)).status).toBe(204);
    const [session] = await core`select revoked_at from user_sessions where session_id = ${person.sessionId}`;
    expect(session?.['revoked_at']).not.toBeNull();
  });

  it('keep a role that their own organisation gives', async () => {
    const person = await signIn(app, 'acme', {});
    await core`insert into user_role_assignments (tenant_id, user_id, role_name, source) values ('acme', ${person.userId}, 'viewer', 'token')`;
    expect((await ask('DELETE', `users/${person.userId}/roles/viewer`, acme.owner)).status).toBe(409);
  });
});

describe('the last owner', () => {
  const END = { role_name: 'admin', expires_at: new Date(Date.now() + 86_400_000).toISOString() };
  const waysOut: readonly [string, (key: string, person: TestMember) => Promise<TestAnswer>][] = [
    ['is not removed', (key, { userId }) => ask('DELETE', `users/${userId}`, key)],
    ['does not lose the role', (key, { userId }) => ask('DELETE', `users/${userId}/roles/admin`, key)],
    ['gets no end', (key, { userId }) => ask('POST', `users/${userId}/roles`, key, END)],
    [
      'is not deactivated',
      (_key, { userId }) => ask('POST', `platform/users/${userId}/deactivate`, operator),
    ],
  ];

  it.each(waysOut)('%s, also by an owner for a time, beside inactive ones', async (_what, leave) => {
    const { id, key } = await freshTenant();
    const owner = await signIn(app, id, { admin: null });
    await signIn(app, id, { admin: new Date(Date.now() + 60_000) });
    await signIn(app, id, { admin: null }, { is_active: false });
    const refused = await leave(key, owner);
    expect(refused).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    expect(refused.body.detail).toMatch(/last owner/);
    expect(await ownersOf(id)).toEqual([owner.userId]);
    await signIn(app, id, { admin: null });
    expect([200, 201, 204]).toContain((await leave(key, owner)).status);
  });

  it('is named with each tenant when an operator may not deactivate the person', async () => {
    const [one, two] = [await freshTenant(), await freshTenant()];
    const person = await signIn(app, one.id, { admin: null });
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values (${two.id}, ${person.userId}, 'admin')`;
    const refused = await ask('POST', `platform/users/${person.userId}/deactivate`, operator);
    expect(refused.body.detail).toContain(`${one.id}, ${two.id}`);
  });

  it('is left when two owners leave at once, in every pair of ways and in both directions', async () => {
    for (const [, first] of waysOut)
      for (const [, second] of waysOut) {
        const { id, key } = await freshTenant();
        const [a, b] = [await signIn(app, id, { admin: null }), await signIn(app, id, { admin: null })];
        const answers = await Promise.all([first(key, a), second(key, b)]);
        expect(statusesOf(answers).filter((status) => status === 409)).toEqual([409]);
        expect(await ownersOf(id)).toHaveLength(1);
      }
  });

  it('is left when two owners remove each other', async () => {
    const { id } = await freshTenant();
    const [a, b] = [await signIn(app, id, { admin: null }), await signIn(app, id, { admin: null })];
    await Promise.all([
      ask('DELETE', `users/${b.userId}`, a.token),
      ask('DELETE', `users/${a.userId}`, b.token),
    ]);
    expect(await ownersOf(id)).toHaveLength(1);
  });

  it('is one who is active, if a person becomes owner while an operator deactivates them', async () => {
    for (let n = 0; n < 5; n++) {
      const { id, key } = await freshTenant();
      const owner = await signIn(app, id, { admin: null });
      const other = await signIn(app, id, { viewer: null });
      const [, , removed] = await Promise.all([
        ask('POST', `platform/users/${other.userId}/deactivate`, operator),
        ask('POST', `users/${other.userId}/roles`, key, { role_name: 'admin' }),
        ask('DELETE', `users/${owner.userId}`, key),
      ]);
      expect([204, 409]).toContain(removed.status);
      expect((await ownersOf(id)).length).toBeGreaterThanOrEqual(1);
    }
  });
});

describe('the platform’s last operator', () => {
  const END = { role_name: 'operator', expires_at: new Date(Date.now() + 86_400_000).toISOString() };
  const waysOut: readonly [string, (person: TestMember) => Promise<TestAnswer>][] = [
    ['is not removed', ({ userId }) => ask('DELETE', `users/${userId}`, operator)],
    ['does not lose the role', ({ userId }) => ask('DELETE', `users/${userId}/roles/operator`, operator)],
    ['gets no end', ({ userId }) => ask('POST', `users/${userId}/roles`, operator, END)],
    ['is not deactivated', ({ userId }) => ask('POST', `platform/users/${userId}/deactivate`, operator)],
  ];
  const operators = () => core`
    select a.user_id from user_role_assignments a join users u on u.user_id = a.user_id and u.is_active
     where a.tenant_id = 'platform' and a.role_name = 'operator' and a.is_active and a.expires_at is null`;
  const newOperator = () => signIn(app, 'platform', { operator: null });
  beforeEach(async () => {
    await core`update user_role_assignments set is_active = false, ended_at = now() where tenant_id = 'platform' and is_active`;
  });

  it.each(waysOut)('%s, beside one for a time, inactive ones and one elsewhere', async (_what, leave) => {
    const last = await newOperator();
    await signIn(app, 'platform', { operator: new Date(Date.now() + 60_000), viewer: null });
    await signIn(app, 'platform', { operator: null }, { is_active: false });
    await signIn(app, 'acme', { operator: null });
    const refused = await leave(last);
    expect(refused).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    expect(refused.body.detail).toMatch(/last operator/);
    expect(await operators()).toEqual([{ user_id: last.userId }]);
    await newOperator();
    expect([200, 204]).toContain((await leave(last)).status);
  });

  it('may lose other roles, and one that is none of a tenant’s is not kept there', async () => {
    const last = await signIn(app, 'platform', { operator: null, viewer: null });
    expect((await ask('DELETE', `users/${last.userId}/roles/viewer`, operator)).status).toBe(204);
    const other = await signIn(app, 'acme', { operator: null, viewer: null });
    expect((await ask('DELETE', `users/${other.userId}/roles/operator`, acme.owner)).status).not.toBe(409);
  });

  it('is left when two leave at once, each in another way', async () => {
    for (const [at, [, first]] of waysOut.entries()) {
      const second = waysOut[(at + 1) % waysOut.length]?.[1] ?? first;
      const [a, b] = [await newOperator(), await newOperator()];
      const answers = await Promise.all([first(a), second(b)]);
      expect(statusesOf(answers).filter((status) => status === 409)).toEqual([409]);
      expect(await operators()).toHaveLength(1);
      await core`update user_role_assignments set is_active = false, ended_at = now() where tenant_id = 'platform' and is_active`;
    }
  });

  it('is left when two remove each other', async () => {
    const [a, b] = [await newOperator(), await newOperator()];
    const answers = await Promise.all([
      ask('DELETE', `users/${b.userId}`, a.token),
      ask('DELETE', `users/${a.userId}`, b.token),
    ]);
    expect(statusesOf(answers)[0]).toBe(204);
    expect(await operators()).toHaveLength(1);
  });
});

describe('the platform’s operators', () => {
  it('find people, see their tenants, deactivate, reactivate and unlock them', async () => {
    const person = await signIn(
      app,
      'acme',
      { viewer: null },
      { failed_sign_ins: 12, locked_until: new Date(Date.now() + 60_000) },
    );
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values ('globex', ${person.userId}, 'user')`;
    const found = await ask('GET', `platform/users?email=${person.email.toUpperCase()}`, operator);
    expect(found.body.items).toMatchObject([{ user_id: person.userId, status: 'locked' }]);
    expect((await ask('GET', 'platform/users?status=locked&limit=500', operator)).body.items).toContainEqual(
      found.body.items[0],
    );
    expect(await ask('GET', `platform/users/${person.userId.toUpperCase()}`, operator)).toMatchObject({
      status: 200,
      body: {
        tenants: [
          { tenant_id: 'acme', roles: ['viewer'] },
          { tenant_id: 'globex', roles: ['user'] },
        ],
      },
    });
    const path = `platform/users/${person.userId}`;
    expect(await ask('POST', `${path}/unlock`, operator)).toMatchObject({
      status: 200,
      body: { status: 'active' },
    });
    expect((await ask('GET', 'records', person.token)).status).toBe(401);
    const session = await openSessionOf(app, 'acme', person.userId);
    expect((await ask('GET', 'records', session.token)).status).toBe(200);
    const twice = await Promise.all([
      ask('POST', `${path}/deactivate`, operator),
      ask('POST', `${path}/deactivate`, operator),
    ]);
    expect(statusesOf(twice)).toEqual([200, 200]);
    expect((await ask('GET', 'records', session.token)).status).toBe(401);
    expect(
      (await ask('POST', `users/${person.userId}/roles`, acme.owner, { role_name: 'user' })).status,
    ).toBe(409);
    expect(await ask('POST', `${path}/reactivate`, operator)).toMatchObject({
      status: 200,
      body: { status: 'active' },
    });
    for (const tenant of ['platform', 'acme', 'globex'])
      await until(
        () =>
          core`select action from audit_logs where tenant_id = ${tenant} and resource_id = ${person.userId}`,
        (rows) => rows.some(({ action }) => action === 'user.deactivated'),
      );
    expect((await ask('GET', `platform/users/${newId()}`, operator)).status).toBe(404);
    expect((await ask('POST', `platform/users/${newId()}/deactivate`, operator)).status).toBe(404);
    expect((await ask('GET', 'platform/users', acme.owner)).status).toBe(403);
  });
});

describe('a key that a person made', () => {
  const keyBody = { key_name: 'service', permissions: ['records:read', 'api_keys:read', 'api_keys:manage'] };

  it('shows its maker and what counts, loses it at once with the maker, and goes on when another one adopts it', async () => {
    const { id, key } = await freshTenant();
    const maker = await signIn(app, id, { admin: null });
    const heir = await signIn(app, id, { admin: null });
    const made = await ask('POST', 'api-keys', maker.token, keyBody);
    const service = made.body.api_key as string;
    const path = `api-keys/${made.body.key_id}`;
    expect(made.body).toMatchObject({
      expires_at: null,
      made_by_user: maker.userId,
      effective_permissions: keyBody.permissions,
    });
    const shown = async (): Promise<Record<string, unknown> | undefined> =>
      (await ask('GET', 'api-keys', key)).body.items.find(
        ({ key_id }: { key_id: string }) => key_id === made.body.key_id,
      );
    await ask('POST', `users/${maker.userId}/roles`, key, { role_name: 'viewer' });
    expect((await ask('GET', 'api-keys', service)).status).toBe(200);
    await ask('DELETE', `users/${maker.userId}/roles/admin`, key);
    expect((await ask('GET', 'api-keys', service)).status).toBe(403);
    expect(await shown()).toMatchObject({ status: 'active', effective_permissions: ['records:read'] });
    await ask('DELETE', `users/${maker.userId}`, key);
    expect((await ask('GET', 'records', service)).status).toBe(401);
    expect(await shown()).toMatchObject({ status: 'inactive', effective_permissions: [] });
    const viewer = await signIn(app, id, { viewer: null });
    const staff = { role_name: 'keys', permissions: ['api_keys:manage'] };
    await ask('POST', 'roles', key, staff);
    const lesser = await signIn(app, id, { keys: null });
    expect((await ask('POST', `${path}/adopt`, viewer.token)).status).toBe(403);
    expect((await ask('POST', `${path}/adopt`, lesser.token)).status).toBe(403);
    expect((await ask('POST', `${path}/adopt`, key)).status).toBe(403);
    expect((await ask('POST', `${path}/adopt`, globex.owner)).status).toBe(403);
    expect(await ask('POST', `${path}/adopt`, heir.token)).toMatchObject({
      status: 200,
      body: { status: 'active', made_by_user: heir.userId, effective_permissions: keyBody.permissions },
    });
    expect((await ask('GET', 'api-keys', service)).status).toBe(200);
    await ask('DELETE', path, heir.token);
    expect((await ask('POST', `${path}/adopt`, heir.token)).status).toBe(409);
    const own = await ask('POST', 'api-keys', key, keyBody);
    expect((await ask('POST', `api-keys/${own.body.key_id}/adopt`, heir.token)).status).toBe(409);
  });

  it('does not keep a tenant from being locked out, and an owner does', async () => {
    const { id, key } = await freshTenant();
    const staff = { role_name: 'keys', permissions: ['api_keys:manage', 'users:read', 'users:manage'] };
    await ask('POST', 'roles', key, staff);
    const manager = await signIn(app, id, { keys: null });
    await ask('POST', 'api-keys', manager.token, { key_name: 'deputy', permissions: ['api_keys:manage'] });
    const keyId = key.split('_')[2] ?? '';
    expect((await ask('DELETE', `api-keys/${keyId}`, key)).status).toBe(409);
    const unverified = await signIn(app, id, { admin: null }, { is_verified: false });
    expect((await ask('DELETE', `api-keys/${keyId}`, key)).status).toBe(409);
    const owner = await signIn(app, id, { admin: null });
    expect((await ask('DELETE', `api-keys/${keyId}`, owner.token)).status).toBe(204);
    // The unverified owner is one, but could not sign in to make a key.
    const left = await ask('DELETE', `users/${owner.userId}`, unverified.token);
    expect(left).toMatchObject({ status: 409 });
    expect(left.body.detail).toContain('manages the tenant’s keys');
    const refused = await ask('POST', `platform/users/${owner.userId}/deactivate`, operator);
    expect(refused.body.detail).toContain(id);
  });

  it('is left to manage keys, if the last key and the last owner go at once', async () => {
    for (let n = 0; n < 5; n++) {
      const { id, key } = await freshTenant();
      const owner = await signIn(app, id, { admin: null });
      await signIn(app, id, { admin: null }, { is_verified: false });
      const other = await app.makeKey(id, PERMISSION_SETS.owner, { made_by_user: owner.userId });
      const [revoked, removed] = await Promise.all([
        ask('DELETE', `api-keys/${key.split('_')[2]}`, key),
        ask('DELETE', `users/${owner.userId}`, other),
      ]);
      expect([
        [204, 409],
        [409, 204],
      ]).toContainEqual([revoked.status, removed.status]);
    }
  });
});
