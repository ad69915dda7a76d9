import { afterAll, describe, expect, it } from 'vitest';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { SESSION_COOKIE } from '../shared/platform/auth/session-token.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';
import { makeTenant, openMailbox, openSessionOf, signIn } from './harness/members.ts';

const app = await startTestApp();
const { core } = app.admin;
const { acme, globex, operator } = app.keys;
const mailbox = openMailbox(app);
afterAll(() => mailbox.close());

/** What the role viewer gives. */
const VIEWS = PERMISSION_SETS.reader;
const PASSWORD = 'a river under nine bridges';
const NEW = { password: PASSWORD, first_name: 'Ada', last_name: 'Lovelace' };

const ask = (method: string, path: string, key?: string, body?: unknown, headers = {}): Promise<TestAnswer> =>
  app.request(method, `/api/v1/${path}`, { key, body, headers });
const invite = (key: string, email: string, roles: readonly string[] = ['viewer']): Promise<TestAnswer> =>
  ask('POST', 'invitations', key, { email, roles });
const accept = (body: object, headers: Readonly<Record<string, string>> = {}): Promise<TestAnswer> =>
  ask('POST', 'invitations/accept', undefined, body, { 'x-forwarded-for': anAddress(), ...headers });
const freshEmail = (): string => `invited-${newId()}@example.com`;
let hosts = 0;
/** Another client each time, so that only the test of the limit reaches it. */
const anAddress = (): string => `198.51.${100 + Math.floor(++hosts / 250)}.${hosts % 250}`;
/** The last token that was sent to an address, when there are as many mails. */
async function tokenFor(email: string, mails = 1): Promise<string> {
  const sent = await until(
    () => mailbox.invitationsTo(email),
    (all) => all.length >= mails,
  );
  return sent.at(-1)?.token ?? '';
}
/** Accepts a first invitation, so that the address has an account with {@link PASSWORD}. */
async function makePerson(email: string): Promise<string> {
  await invite(globex.owner, email);
  const joined = await accept({ token: await tokenFor(email), ...NEW });
  expect(joined.status).toBe(200);
  return joined.body.user_id as string;
}
const rolesOf = async (tenant: string, userId: string): Promise<string[]> =>
  (
    await core`select role_name from user_role_assignments where tenant_id = ${tenant} and user_id = ${userId} and is_active order by 1`
  ).map((row) => String(row['role_name']));
const backdate = (id: string): Promise<unknown> =>
  core`update ops.invitations set expires_at = now() - interval '1 second' where invitation_id = ${id}`;

describe('an invitation', () => {
  it('reaches its address with a token that is nowhere else, and makes a new person a member, once', async () => {
    const email = freshEmail();
    const made = await ask('POST', 'invitations', acme.owner, {
      email: ` ${email.toUpperCase()}`,
      roles: ['user', 'viewer', 'user'],
    });
    expect(made).toMatchObject({
      status: 201,
      body: { email, roles: ['user', 'viewer'], status: 'pending' },
    });
    const days = Date.parse(made.body.expires_at) - Date.parse(made.body.created_at);
    expect(days).toBe(7 * 86_400_000);
    const token = await tokenFor(email);
    const [mail] = await mailbox.invitationsTo(email);
    expect(mail).toMatchObject({
      tenant_id: 'acme',
      tenant_name: 'Acme',
      roles: ['user', 'viewer'],
      invitation_id: made.body.invitation_id,
    });
    expect(token).toMatch(/^inv_[a-z0-9]{40}$/);
    const joined = await accept({ token, ...NEW });
    expect(joined).toMatchObject({
      status: 200,
      body: { tenant_id: 'acme', roles: ['user', 'viewer'], is_new_person: true },
    });
    const userId = joined.body.user_id as string;
    expect(await rolesOf('acme', userId)).toEqual(['user', 'viewer']);
    const [person] =
      await core`select is_verified, first_name, password_hash from users where user_id = ${userId}`;
    expect(person).toMatchObject({ is_verified: true, first_name: 'Ada' });
    expect(person?.['password_hash']).toMatch(/^\$argon2id\$/);
    expect(await accept({ token, ...NEW })).toMatchObject({
      status: 409,
      body: { detail: 'The invitation was accepted.' },
    });
    expect(
      await ask('GET', `invitations/${made.body.invitation_id.toUpperCase()}`, acme.owner),
    ).toMatchObject({
      status: 200,
      body: { status: 'accepted', accepted_by: userId },
    });
    const trail = await until(
      () =>
        core`select action, user_id, details from audit_logs where tenant_id = 'acme' and resource_id = ${made.body.invitation_id} order by created_at`,
      (rows) => rows.length === 2,
    );
    expect(trail.map((row) => [row['action'], row['user_id']])).toEqual([
      ['user.invited', null],
      ['invitation.accepted', userId],
    ]);
    await until(
      () => core`select from ops.outbox`,
      (rows) => rows.length === 0,
    );
    const kept = await core`select count(*)::int as n from (
      select to_jsonb(i)::text as row from ops.idempotency i union all select to_jsonb(a)::text from audit_logs a
      union all select to_jsonb(v)::text from ops.invitations v union all select to_jsonb(u)::text from users u) all_rows
      where row like ${`%${token}%`} or row like ${`%${PASSWORD}%`}`;
    expect(kept[0]).toEqual({ n: 0 });
    expect(app.logLines.some((line) => line.includes(token) || line.includes(PASSWORD))).toBe(false);
    expect(JSON.stringify(made.body)).not.toContain('token');
  });

  it('takes the place of the one before, also in another spelling of the address', async () => {
    const email = freshEmail();
    const first = await invite(acme.owner, email);
    const token = await tokenFor(email);
    const second = await invite(acme.owner, email.toUpperCase());
    expect(second.status).toBe(201);
    expect(await accept({ token, ...NEW })).toMatchObject({
      status: 409,
      body: { detail: 'The invitation was revoked.' },
    });
    const list = await ask('GET', `invitations?email=${email.toUpperCase()}`, acme.owner);
    expect(
      list.body.items.map(({ invitation_id, status }: Record<string, string>) => [invitation_id, status]),
    ).toEqual([
      [second.body.invitation_id, 'pending'],
      [first.body.invitation_id, 'revoked'],
    ]);
    const pending = await ask('GET', `invitations?email=${email}&status=pending`, acme.owner);
    expect(pending.body.items).toHaveLength(1);
    expect((await accept({ token: await tokenFor(email, 2), ...NEW })).status).toBe(200);
  });

  it('is one of an address, whatever is sent at once', async () => {
    const email = freshEmail();
    const answers = await Promise.all(Array.from({ length: 6 }, () => invite(acme.owner, email)));
    for (const { status } of answers) expect([201, 409]).toContain(status);
    const open =
      await core`select from ops.invitations where email = ${email} and accepted_at is null and revoked_at is null`;
    expect(open).toHaveLength(1);
  });

  it('can be revoked, sent again with another token, and neither after it was accepted', async () => {
    const email = freshEmail();
    const { body } = await invite(acme.owner, email);
    const path = `invitations/${body.invitation_id}`;
    const old = await tokenFor(email);
    await backdate(body.invitation_id);
    expect(await accept({ token: old, ...NEW })).toMatchObject({
      status: 409,
      body: { detail: 'The invitation is too old.' },
    });
    expect((await ask('GET', path, acme.owner)).body.status).toBe('expired');
    expect(await ask('POST', `${path}/resend`, acme.owner)).toMatchObject({
      status: 200,
      body: { status: 'pending' },
    });
    const token = await tokenFor(email, 2);
    expect((await accept({ token: old, ...NEW })).status).toBe(404);
    expect((await ask('DELETE', path, globex.owner)).status).toBe(404);
    expect((await ask('POST', `${path}/resend`, globex.owner)).status).toBe(404);
    expect((await ask('DELETE', path, acme.owner)).status).toBe(204);
    expect((await ask('DELETE', path, acme.owner)).status).toBe(204);
    expect((await accept({ token, ...NEW })).status).toBe(409);
    expect((await ask('POST', `${path}/resend`, acme.owner)).status).toBe(409);
    const again = await invite(acme.owner, email);
    expect((await accept({ token: await tokenFor(email, 3), ...NEW })).status).toBe(200);
    const accepted = `invitations/${again.body.invitation_id}`;
    expect((await ask('DELETE', accepted, acme.owner)).status).toBe(409);
    expect((await ask('POST', `${accepted}/resend`, acme.owner)).status).toBe(409);
    expect((await invite(acme.owner, email)).status).toBe(409);
  });

  it.each<[string, unknown, number]>([
    ['no address', { email: 'nobody', roles: ['viewer'] }, 400],
    ['no role', { email: 'a@example.com', roles: [] }, 400],
    ['an unknown role', { email: 'a@example.com', roles: ['no_such_role'] }, 400],
    ['the operators’ role', { email: 'a@example.com', roles: ['operator'] }, 400],
    ['eleven roles', { email: 'a@example.com', roles: 'abcdefghijk'.split('') }, 400],
    ['too many bytes', { email: 'a@example.com', roles: ['viewer'], note: 'x'.repeat(300_000) }, 413],
    ['another tenant', { email: 'a@example.com', roles: ['viewer'], tenant_id: 'globex' }, 403],
  ])('is refused with %s', async (_what, body, status) => {
    expect((await ask('POST', 'invitations', acme.owner, body)).status).toBe(status);
  });

  it('gives only what who invites holds, for good, and only with the permission', async () => {
    const manager = await app.makeKey('acme', ['users:manage', 'users:read']);
    expect((await invite(manager, freshEmail())).status).toBe(403);
    expect((await invite(acme.writer, freshEmail())).status).toBe(403);
    const deputy = await signIn(app, 'acme', { admin: new Date(Date.now() + 3_600_000) });
    expect((await invite(deputy.token, freshEmail(), ['admin'])).status).toBe(403);
    const email = freshEmail();
    const { body } = await invite(acme.owner, email, ['admin']);
    expect((await ask('POST', `invitations/${body.invitation_id}/resend`, manager)).status).toBe(403);
  });

  it('that is repeated under its Idempotency-Key is sent once', async () => {
    const email = freshEmail();
    const send = () =>
      ask('POST', 'invitations', acme.owner, { email, roles: ['viewer'] }, { 'idempotency-key': email });
    const [first, second] = [await send(), await send()];
    expect(second.body.invitation_id).toBe(first.body.invitation_id);
    await tokenFor(email);
    expect(await core`select from ops.invitations where email = ${email}`).toHaveLength(1);
  });

  it('can be made for the platform’s operators by an operator', async () => {
    const email = freshEmail();
    expect((await invite(operator, email, ['operator'])).status).toBe(201);
    expect((await accept({ token: await tokenFor(email), ...NEW })).body.tenant_id).toBe('platform');
  });
});

describe('the acceptance of an invitation', () => {
  it.each<[string, unknown, number]>([
    ['no token', NEW, 400],
    ['an unknown token', { token: `inv_${'a'.repeat(40)}`, ...NEW }, 404],
    ['a list', [], 400],
    ['an unknown field', { token: 'x', role: 'admin' }, 400],
    ['too many bytes', { token: 'x', password: 'x'.repeat(300_000) }, 413],
  ])('is refused with %s', async (_what, body, status) => {
    expect((await accept(body as object)).status).toBe(status);
  });

  it('needs a name and a good password of a new person, and the token stays valid', async () => {
    const email = freshEmail();
    await invite(acme.owner, email);
    const token = await tokenFor(email);
    const bare = await accept({ token });
    expect(bare.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/password',
      '/first_name',
      '/last_name',
    ]);
    const weak = await accept({ token, ...NEW, password: 'password1234' });
    expect(weak).toMatchObject({ status: 400, body: { errors: [{ pointer: '/password' }] } });
    expect(await core`select from users where email = ${email}`).toHaveLength(0);
    expect((await accept({ token, ...NEW })).status).toBe(200);
  });

  it('needs the password or the session of an account that exists: a mail that was passed on is not enough', async () => {
    const email = freshEmail();
    const userId = await makePerson(email);
    await core`update users set is_verified = false where user_id = ${userId}`;
    const { body } = await invite(acme.owner, email, ['user']);
    const token = await tokenFor(email, 2);
    const thief = await signIn(app, 'acme', { viewer: null });
    expect((await accept({ token })).status).toBe(401);
    expect((await accept({ token, ...NEW, password: 'another password altogether' })).status).toBe(401);
    expect((await accept({ token }, { authorization: `Bearer ${thief.token}` })).status).toBe(401);
    expect((await accept({ token }, { authorization: `Bearer ${acme.owner}` })).status).toBe(401);
    expect((await accept({ token }, { cookie: `${SESSION_COOKIE}=${thief.token}` })).status).toBe(403);
    expect(await rolesOf('acme', userId)).toEqual([]);
    const [failed] = await core`select failed_sign_ins from users where user_id = ${userId}`;
    expect(failed).toEqual({ failed_sign_ins: 1 });
    expect(await accept({ token, password: PASSWORD })).toMatchObject({
      status: 200,
      body: { user_id: userId, is_new_person: false },
    });
    expect(await rolesOf('acme', userId)).toEqual(['user']);
    const [person] = await core`select is_verified from users where user_id = ${userId}`;
    expect(person).toEqual({ is_verified: true });
    expect(body.status).toBe('pending');
  });

  it('counts by a session of the account, in another tenant too', async () => {
    const person = await signIn(app, 'globex', { viewer: null });
    await invite(acme.owner, person.email);
    const token = await tokenFor(person.email);
    expect(await accept({ token }, { authorization: `Bearer ${person.token}` })).toMatchObject({
      status: 200,
      body: { user_id: person.userId },
    });
  });

  it.each([
    ['a cookie of somebody else on the host', () => 'ARRAffinity=1'],
    ['the cookie of a session that is over', (token: string) => `a=1; ${SESSION_COOKIE}=${token}`],
  ])('counts by the password, although the browser sends %s', async (_, cookie) => {
    const email = freshEmail();
    const userId = await makePerson(email);
    const { token: session, sessionId } = await openSessionOf(app, 'globex', userId);
    await core`update user_sessions set revoked_at = now() where session_id = ${sessionId}`;
    await invite(acme.owner, email);
    const token = await tokenFor(email, 2);
    const headers = { cookie: cookie(session), 'sec-fetch-site': 'same-origin' };
    expect((await accept({ token, password: 'not this password' }, headers)).status).toBe(401);
    expect((await accept({ token }, headers)).status).toBe(401);
    expect((await accept({ token, password: PASSWORD }, headers)).status).toBe(200);
  });

  it('is refused for a person whom an operator has deactivated, and while the tenant is not active', async () => {
    const email = freshEmail();
    const userId = await makePerson(email);
    await makeTenant(app, 'closed').then((key) => invite(key, email));
    const token = await tokenFor(email, 2);
    await ask('POST', `platform/users/${userId}/deactivate`, operator);
    expect((await accept({ token, password: PASSWORD })).status).toBe(409);
    await ask('POST', `platform/users/${userId}/reactivate`, operator);
    await core`update tenants set status = 'suspended' where tenant_id = 'closed'`;
    await until(
      () => accept({ token, password: 'not this password' }),
      ({ status, body }) => status === 409 && /suspended/.test(body.detail),
    );
  });

  it('gives nothing that who invited no longer holds, and nothing of somebody who was removed', async () => {
    const key = await makeTenant(app, 'leavers');
    await signIn(app, 'leavers', { admin: null });
    const inviter = await signIn(app, 'leavers', { admin: null, viewer: null });
    const byKey = await ask('POST', 'api-keys', inviter.token, {
      key_name: 'k',
      permissions: ['users:manage', ...VIEWS],
    });
    const [one, two, three] = [freshEmail(), freshEmail(), freshEmail()];
    expect((await invite(inviter.token, one)).status).toBe(201);
    expect((await invite(byKey.body.api_key, two)).status).toBe(201);
    expect((await invite(key, three)).status).toBe(201);
    await ask('DELETE', `users/${inviter.userId}/roles/admin`, key);
    for (const email of [one, two])
      expect(await accept({ token: await tokenFor(email), ...NEW })).toMatchObject({
        status: 409,
        body: { detail: expect.stringContaining('can no longer give') },
      });
    expect((await accept({ token: await tokenFor(three), ...NEW })).status).toBe(200);
    // Another one answers for it.
    const { items } = (await ask('GET', `invitations?email=${one}`, key)).body;
    expect((await ask('POST', `invitations/${items[0].invitation_id}/resend`, key)).status).toBe(200);
    expect((await accept({ token: await tokenFor(one, 2), ...NEW })).status).toBe(200);
  });

  it('happens once, whatever is sent at once, and makes one person', async () => {
    const email = freshEmail();
    await invite(acme.owner, email);
    const token = await tokenFor(email);
    const answers = await Promise.all(Array.from({ length: 5 }, () => accept({ token, ...NEW })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
    expect(await core`select from users where email = ${email}`).toHaveLength(1);
    await invite(globex.owner, email);
    const second = await tokenFor(email, 2);
    const known = await Promise.all(
      Array.from({ length: 3 }, () => accept({ token: second, password: PASSWORD })),
    );
    expect(known.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
  });

  it('of two tenants at once makes one person', async () => {
    const email = freshEmail();
    await Promise.all([invite(acme.owner, email), invite(globex.owner, email)]);
    const sent = await until(
      () => mailbox.invitationsTo(email),
      (all) => all.length === 2,
    );
    const answers = await Promise.all(sent.map(({ token }) => accept({ token, ...NEW })));
    expect(answers.map(({ status }) => status).sort()[0]).toBe(200);
    for (const { token } of sent) await accept({ token, password: PASSWORD });
    const [person, ...more] = await core`select user_id from users where email = ${email}`;
    expect(more).toEqual([]);
    const userId = String(person?.['user_id']);
    expect([await rolesOf('acme', userId), await rolesOf('globex', userId)]).toEqual([
      ['viewer'],
      ['viewer'],
    ]);
  });

  it('and its revocation at once: either the person is a member, or the invitation is revoked', async () => {
    for (let n = 0; n < 4; n++) {
      const email = freshEmail();
      const { body } = await invite(acme.owner, email);
      const token = await tokenFor(email);
      const [joined, revoked] = await Promise.all([
        accept({ token, ...NEW }),
        ask('DELETE', `invitations/${body.invitation_id}`, acme.owner),
      ]);
      expect([
        [200, 409],
        [409, 204],
      ]).toContainEqual([joined.status, revoked.status]);
    }
  });

  it('is limited by address', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.7' };
    const unknown = { token: `inv_${'b'.repeat(40)}` };
    const answers = await Promise.all(Array.from({ length: 31 }, () => accept(unknown, headers)));
    const limited = answers.filter(({ status }) => status === 429);
    expect(limited).toHaveLength(1);
    expect(limited[0]?.headers.get('retry-after')).toMatch(/^[1-9]/);
    expect((await accept(unknown)).status).toBe(404);
  });
});

describe('without Redis', () => {
  it('people are invited, join, and lose what they lose', async () => {
    const alone = await startTestApp({ withoutRedis: true });
    const box = openMailbox(alone);
    const { owner } = alone.keys.acme;
    const email = freshEmail();
    const post = (path: string, body: object, key?: string) =>
      alone.request('POST', `/api/v1/${path}`, { key, body });
    expect((await post('invitations', { email, roles: ['viewer'] }, owner)).status).toBe(201);
    const [mail] = await until(
      () => box.invitationsTo(email),
      (all) => all.length === 1,
    );
    const joined = await post('invitations/accept', { token: mail?.token, ...NEW });
    expect(joined.status).toBe(200);
    const removed = await alone.request('DELETE', `/api/v1/users/${joined.body.user_id}`, { key: owner });
    expect(removed.status).toBe(204);
    await box.close();
  });
});
