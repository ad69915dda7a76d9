import { randomInt } from 'node:crypto';
import { ServiceBusClient } from '@azure/service-bus';
import Long from 'long';
import { Secret, TOTP } from 'otpauth';
import { beforeAll, describe, expect, it } from 'vitest';
import { seedPerson } from '../shared/domains/identity/sign-in/seed-person.ts';
import { sessionsExpire } from '../shared/domains/identity/sessions/expire-job.ts';
import { signIn as signInTo } from '../shared/domains/identity/sign-in/sign-in.ts';
import { fingerprintOf } from '../shared/platform/call/idempotency-key.ts';
import { problemOf } from '../shared/platform/call/problem-of.ts';
import { SESSION_COOKIE } from '../shared/platform/auth/session-token.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { openServices } from '../functions/services.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { core } = app.admin;
/** Everything that must be nowhere: passwords, tokens, codes. */
const secrets = new Set<string>();

let made = 0;

interface Made {
  readonly email: string;
  readonly password: string;
  readonly userId: string;
}

async function makePerson(roles: Record<string, string> = { acme: 'viewer' }, email?: string): Promise<Made> {
  made += 1;
  const person = { email: email ?? `person-${made}@example.com`, password: `Grüße ${made} aus dem Süden` };
  secrets.add(person.password);
  const userId = await app.services.crossTenant.core.transaction((transaction) =>
    seedPerson(transaction, { ...person, firstName: 'Jo', roles }, new Date()),
  );
  return { ...person, userId };
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  app.request('POST', `/api/v1/auth/${path}`, { body, headers });

async function signIn(given: object, headers: Record<string, string> = {}): Promise<TestAnswer> {
  const { userId: _, ...body } = given as Partial<Made>;
  const answer = await post('sessions', body, headers);
  if (answer.status === 201) secrets.add(answer.body.token as string);
  return answer;
}

const readMe = (token: string) => app.request('GET', '/api/v1/me', { key: token });
const WRONG = { status: 401, body: { code: 'UNAUTHORIZED' } };

/** The person's audit entries with an action. */
const trail = (userId: string | null, action: string, atLeast = 1) =>
  until(
    () => core`select tenant_id, outcome, details, ip_address, resource_id from audit_logs
                where user_id is not distinct from ${userId} and action = ${action}`,
    (rows) => rows.length >= atLeast,
  );

describe('signing in', () => {
  it('answers a token and a cookie, of which either is the session', async () => {
    const person = await makePerson();
    const answer = await signIn(person, { 'x-forwarded-for': '198.51.100.7', 'user-agent': 'browser' });
    expect(answer).toMatchObject({
      status: 201,
      body: { tenant_id: 'acme', user_id: person.userId, methods: ['pwd'] },
    });
    const { token, session_id: id } = answer.body;
    expect(answer.headers.getSetCookie()).toEqual([
      `${SESSION_COOKIE}=${token}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax`,
    ]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const seen = await readMe(token);
    expect(seen).toMatchObject({
      status: 200,
      body: {
        kind: 'session',
        actor: `user:${person.userId}`,
        user: { email: person.email, first_name: 'Jo', is_verified: true, has_totp: false },
        tenant_id: 'acme',
        tenant_name: 'Acme',
        session_id: id,
        roles: ['viewer'],
        expires_at: answer.body.expires_at,
        tenants: [{ tenant_id: 'acme', name: 'Acme' }],
      },
    });
    const byCookie = await app.request('GET', '/api/v1/me', {
      headers: { cookie: `${SESSION_COOKIE}=${token}` },
    });
    expect(byCookie.body).toEqual(seen.body);
    expect(await trail(person.userId, 'session.created')).toMatchObject([
      { tenant_id: 'acme', resource_id: id, ip_address: '198.51.100.7', details: { methods: ['pwd'] } },
    ]);
  });

  it.each([
    ['upper case and spaces', (email: string) => `  ${email.toUpperCase()} `],
    ['decomposed letters', (email: string) => email.normalize('NFD')],
  ])('finds the person by an address in %s', async (_, spell) => {
    const person = await makePerson({ acme: 'viewer' }, `jürgen-${made}@example.com`);
    const password = person.password.normalize('NFD');
    secrets.add(password);
    expect(await signIn({ email: spell(person.email), password })).toMatchObject({ status: 201 });
  });

  it.each([
    ['no address', { password: 'x' }, '/email'],
    ['a bad address', { email: 'x', password: 'x' }, '/email'],
    ['no password', { email: 'a@example.com' }, '/password'],
    ['an endless password', { email: 'a@example.com', password: 'x'.repeat(201) }, '/password'],
    ['a bad code', { email: 'a@example.com', password: 'x', totp_code: '12345' }, '/totp_code'],
    ['an unknown member', { email: 'a@example.com', password: 'x', admin: true }, '/admin'],
  ])('refuses %s before anything is checked', async (_, body, pointer) => {
    const answer = await post('sessions', body);
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer }] } });
  });

  it('refuses a body that is too large, and another media type', async () => {
    expect(await post('sessions', { email: 'x'.repeat(9_000) })).toMatchObject({ status: 413 });
    const form = { raw: 'email=a', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    expect(await app.request('POST', '/api/v1/auth/sessions', form)).toMatchObject({ status: 415 });
  });

  it('answers the same, at the same time, whatever is wrong', async () => {
    const [person, inactive, without] = [await makePerson(), await makePerson(), await makePerson()];
    await core`update users set is_active = false where user_id = ${inactive.userId}`;
    await core`update users set password_hash = null where user_id = ${without.userId}`;
    const seen = [];
    for (const body of [
      { email: `nobody-${made}@example.com`, password: person.password },
      { ...person, password: 'not the password' },
      inactive,
      without,
    ]) {
      const started = performance.now();
      const answer = await signIn(body);
      expect(performance.now() - started).toBeGreaterThan(145);
      expect(answer.headers.get('retry-after')).toBeNull();
      const { trace_id: _, ...rest } = answer.body;
      seen.push(rest);
    }
    expect(seen[0]).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
    expect(new Set(seen.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(await trail(person.userId, 'sign_in.failed')).toMatchObject([
      { tenant_id: 'acme', outcome: 'failure', details: { reason: 'password' } },
    ]);
    const unknown = await trail(null, 'sign_in.failed');
    expect(unknown).toMatchObject([{ tenant_id: 'platform', details: { reason: 'unknown_person' } }]);
    expect(JSON.stringify(unknown)).not.toContain('nobody-');
    for (const one of [inactive, without])
      expect(await trail(one.userId, 'sign_in.failed')).toMatchObject([{ details: { reason: 'inactive' } }]);
  });

  it('of a person whose address is not confirmed says so, only with the right password', async () => {
    const person = await makePerson();
    await core`update users set is_verified = false where user_id = ${person.userId}`;
    const wrong = await signIn({ ...person, password: 'not the password' });
    expect(wrong).toMatchObject(WRONG);
    expect(wrong.body.reason).toBeUndefined();
    const right = await signIn(person);
    expect(right).toMatchObject({ status: 401, body: { reason: 'email_not_verified' } });
    expect(right.headers.get('www-authenticate')).toContain('Bearer');
    expect(await core`select failed_sign_ins from users where user_id = ${person.userId}`).toMatchObject([
      { failed_sign_ins: 1 },
    ]);
  });

  it('hashes the password again if the parameters were raised', async () => {
    const person = await makePerson();
    const { default: argon2 } = await import('@node-rs/argon2');
    const weak = await argon2.hash(person.password.normalize('NFKC'), { memoryCost: 1_024, timeCost: 1 });
    await core`update users set password_hash = ${weak} where user_id = ${person.userId}`;
    expect(await signIn(person)).toMatchObject({ status: 201 });
    const [row] = await core`select password_hash from users where user_id = ${person.userId}`;
    expect(row?.['password_hash']).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await signIn(person)).toMatchObject({ status: 201 });
  });

  it('chooses a tenant, and one of a person of several must be named', async () => {
    const person = await makePerson({ acme: 'viewer', globex: 'admin' });
    const tenants = [
      { tenant_id: 'acme', name: 'Acme' },
      { tenant_id: 'globex', name: 'Globex' },
    ];
    expect(await signIn(person)).toMatchObject({ status: 409, body: { code: 'CONFLICT', tenants } });
    const wrong = await signIn({ ...person, password: 'not the password' });
    expect(wrong).toMatchObject(WRONG);
    expect(wrong.body.tenants).toBeUndefined();
    const there = await signIn({ ...person, tenant_id: 'globex' });
    expect(there).toMatchObject({ status: 201, body: { tenant_id: 'globex' } });
    expect((await readMe(there.body.token)).body).toMatchObject({ roles: ['admin'], tenants });
    for (const tenant_id of ['platform', 'no-such-tenant'])
      expect(await signIn({ ...person, tenant_id })).toMatchObject({
        status: 403,
        body: { detail: 'You have no role in this tenant.' },
      });
    await core`update user_role_assignments set expires_at = now() where user_id = ${person.userId} and tenant_id = 'acme'`;
    expect(await signIn(person)).toMatchObject({ status: 201, body: { tenant_id: 'globex' } });
    await core`update user_role_assignments set expires_at = now() where user_id = ${person.userId}`;
    expect(await signIn(person)).toMatchObject({ status: 403 });
    const refused = await trail(person.userId, 'sign_in.failed', 4);
    expect(refused.filter(({ details }) => details.reason === 'no_role')).toMatchObject(
      [1, 2, 3].map(() => ({ tenant_id: 'platform', outcome: 'failure' })),
    );
    expect(await core`select failed_sign_ins from users where user_id = ${person.userId}`).toMatchObject([
      { failed_sign_ins: 0 },
    ]);
  });

  it('to a suspended tenant is possible, and not to an erased one', async () => {
    await core`insert into tenants (tenant_id, name, plan_id, status) values
      ('asleep', 'Asleep', 'free', 'suspended'), ('gone', 'Gone', 'free', 'erased')`;
    const person = await makePerson({ asleep: 'viewer', gone: 'viewer' });
    const session = await signIn(person);
    expect(session).toMatchObject({ status: 201, body: { tenant_id: 'asleep' } });
    const out = await app.request('DELETE', '/api/v1/auth/sessions/current', { key: session.body.token });
    expect(out).toMatchObject({ status: 204 });
    expect(await signIn({ ...person, tenant_id: 'gone' })).toMatchObject({ status: 403 });
  });
});

describe('failures', () => {
  const minutes = async (userId: string) => {
    const [row] = await core`select failed_sign_ins as failed,
      round(extract(epoch from locked_until - now()) / 60)::int as minutes from users where user_id = ${userId}`;
    return row;
  };

  it('at once are no more than may fail, then even the right password is refused for growing pauses', async () => {
    const person = await makePerson();
    const wrong = Array.from({ length: 20 }, () => signIn({ ...person, password: 'not the password' }));
    for (const answer of await Promise.all(wrong)) expect(answer).toMatchObject(WRONG);
    expect(await minutes(person.userId)).toEqual({ failed: 10, minutes: 1 });
    expect(await signIn(person)).toMatchObject(WRONG);
    const reasons = (await trail(person.userId, 'sign_in.failed', 21)).map((row) => row['details'].reason);
    expect(reasons.filter((reason) => reason === 'password')).toHaveLength(10);
    expect(reasons.filter((reason) => reason === 'locked')).toHaveLength(11);
    expect(await trail(person.userId, 'user.locked')).toMatchObject([
      { tenant_id: 'acme', details: { failures: 10 } },
    ]);
    for (const pause of [2, 4]) {
      await core`update users set locked_until = now() where user_id = ${person.userId}`;
      expect(await signIn({ ...person, password: 'not the password' })).toMatchObject(WRONG);
      expect(await minutes(person.userId)).toMatchObject({ minutes: pause });
    }
    await core`update users set locked_until = now(), failed_sign_ins = 5000 where user_id = ${person.userId}`;
    expect(await signIn({ ...person, password: 'not the password' })).toMatchObject(WRONG);
    expect(await minutes(person.userId)).toMatchObject({ minutes: 60 });
    await core`update users set locked_until = now() where user_id = ${person.userId}`;
    expect(await signIn(person)).toMatchObject({ status: 201 });
    expect(await minutes(person.userId)).toEqual({ failed: 0, minutes: null });
  });

  it.each([
    ['with Redis', () => app.services],
    ['without Redis', () => alone],
  ])('from one address are limited %s', async (_, services) => {
    const limit = { of: `test-${randomInt(1e9)}`, points: 3, seconds: 60 };
    const { addressLimiter } = services();
    for (let n = 0; n < 3; n++) await addressLimiter.require(limit, '2001:db8:1:2::1');
    await expect(addressLimiter.require(limit, '2001:db8:1:2::9')).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      options: { headers: { 'retry-after': '60' } },
    });
    await addressLimiter.require(limit, '2001:db8:1:3::1');
  });
  const alone = openServices({ ...app.settings, REDIS_URL: undefined });
  beforeAll(() => () => alone.close());

  it('from one address are refused with 429, whoever they are for', async () => {
    const from = { 'x-forwarded-for': '198.51.100.99' };
    await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        app.services.addressLimiter
          .take({ of: 'sign-in', points: 30, seconds: 300 }, '198.51.100.99')
          .then(() => n),
      ),
    );
    const refused = await signIn(await makePerson(), from);
    expect(refused).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(200);
  });
});

const bus = new ServiceBusClient(app.broker.connectionString);
beforeAll(() => () => bus.close());

/** All events on the queue `notifications`, oldest first. Nobody consumes them here. */
async function listNotifications(): Promise<unknown[]> {
  const receiver = bus.createReceiver('notifications');
  try {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- the SDK's types name another build of this package
    const messages = await receiver.peekMessages(500, { fromSequenceNumber: Long.ZERO });
    return messages.flatMap(({ body }: { body: unknown }) =>
      Buffer.isBuffer(body) ? JSON.parse(String(body)) : body,
    );
  } finally {
    await receiver.close();
  }
}

/** The newest token that was sent to a person, after an older one. */
async function tokenFor(email: string, type: string, after?: string): Promise<string> {
  const tokens = await until(
    async () => (await listNotifications()).filter((one) => isFor(one, email, type)).map(tokenOf),
    (all) => all.length > 0 && all.at(-1) !== after,
  );
  const token = tokens.at(-1) ?? '';
  secrets.add(token);
  return token;
}

const tokenOf = (event: unknown): string => (event as { data: { token: string } }).data.token;

function isFor(event: unknown, email: string, type: string): boolean {
  const { data, type: its } = event as { type: string; data: { email: string } };
  return data.email === email && its === `com.comply-ai.user.${type}-requested.v1`;
}

describe('a new password', () => {
  const NEW = 'ein ganz neues Wort';
  secrets.add(NEW);

  it('by e-mail ends the lock, all sessions and older tokens; of two uses at once one counts', async () => {
    const person = await makePerson({ acme: 'viewer', globex: 'viewer' });
    const session = await signIn({ ...person, tenant_id: 'acme' });
    await core`update users set failed_sign_ins = 20, locked_until = now() + interval '1 hour' where user_id = ${person.userId}`;
    expect(await post('password-resets', { email: person.email })).toMatchObject({ status: 202 });
    const first = await tokenFor(person.email, 'password-reset');
    expect(await post('password-resets', { email: ` ${person.email.toUpperCase()}` })).toMatchObject({
      status: 202,
    });
    const token = await tokenFor(person.email, 'password-reset', first);
    const confirm = (used: string, password = NEW) =>
      post('password-resets/confirm', { token: used, new_password: password });
    const stale = await confirm(first);
    expect(stale).toMatchObject({ status: 400, body: { errors: [{ pointer: '/token' }] } });
    const bad = await confirm(token, 'passwordpassword');
    expect(bad).toMatchObject({ status: 400, body: { errors: [{ pointer: '/new_password' }, {}] } });
    const both = await Promise.all([confirm(token), confirm(token)]);
    expect(both.map(({ status }) => status).sort()).toEqual([204, 400]);
    await until(
      () => readMe(session.body.token),
      ({ status }) => status === 401,
    );
    expect(await signIn({ ...person, tenant_id: 'acme' })).toMatchObject(WRONG);
    expect(await signIn({ ...person, password: NEW, tenant_id: 'acme' })).toMatchObject({ status: 201 });
    expect(await trail(person.userId, 'password_reset.completed')).toMatchObject([
      { tenant_id: 'platform', details: { sessions_ended: 1 } },
    ]);
  });

  it('by e-mail is not undone by somebody who knows the old one and has a session', async () => {
    const person = await makePerson();
    const { token: session } = (await signIn(person)).body;
    await post('password-resets', { email: person.email });
    const token = await tokenFor(person.email, 'password-reset');
    const keep = () =>
      app.request('PUT', '/api/v1/me/password', {
        key: session,
        body: { current_password: person.password, new_password: person.password },
      });
    const reset = () => post('password-resets/confirm', { token, new_password: NEW });
    const [done] = await Promise.all([reset(), ...Array.from({ length: 8 }, keep)]);
    expect(done).toMatchObject({ status: 204 });
    expect(await signIn(person)).toMatchObject(WRONG);
    expect(await signIn({ ...person, password: NEW })).toMatchObject({ status: 201 });
  });

  it('by e-mail and a request for another token do not block each other', async () => {
    const person = await makePerson();
    await post('password-resets', { email: person.email });
    const token = await tokenFor(person.email, 'password-reset');
    const confirming = await core.begin(async (sql) => {
      await sql`select from users where user_id = ${person.userId} for update`;
      const waits = post('password-resets/confirm', { token, new_password: NEW });
      await until(
        () => core`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%user_tokens%' || 'for update%'
          or wait_event_type = 'Lock' and query like 'select email from users%'`,
        (rows) => rows.length > 0,
      );
      // As a request for a token does, which has locked the person.
      await sql`select from ops.user_tokens where user_id = ${person.userId} for update nowait`;
      return { waits };
    });
    expect(await confirming.waits).toMatchObject({ status: 204 });
  });

  it('is not sent to nobody, and an old token does not count', async () => {
    const email = `nobody-${made}@example.com`;
    expect(await post('password-resets', { email })).toMatchObject({
      status: 202,
      body: { status: 'accepted' },
    });
    const person = await makePerson();
    await post('password-resets', { email: person.email });
    const token = await tokenFor(person.email, 'password-reset');
    await core`update ops.user_tokens set expires_at = now() where user_id = ${person.userId}`;
    const late = await post('password-resets/confirm', { token, new_password: NEW });
    expect(late).toMatchObject({ status: 400 });
    const wrongKind = await post('email-verifications/confirm', { token });
    expect(wrongKind).toMatchObject({ status: 400 });
    expect(JSON.stringify(await listNotifications())).not.toContain(email);
  });

  it('of one’s own needs the old one, and ends the other sessions', async () => {
    const person = await makePerson();
    const [here, there] = [await signIn(person), await signIn(person)];
    const change = (current_password: string, new_password = NEW) =>
      app.request('PUT', '/api/v1/me/password', {
        key: here.body.token,
        body: { current_password, new_password },
      });
    expect(await change('not the password')).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/current_password' }] },
    });
    const named = `${person.email.split('@')[0]} is my name`;
    expect(await change(person.password, named)).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/new_password' }] },
    });
    expect(await change(person.password)).toMatchObject({ status: 204 });
    expect(await readMe(here.body.token)).toMatchObject({ status: 200 });
    expect(await readMe(there.body.token)).toMatchObject({ status: 401 });
    expect(await signIn({ ...person, password: NEW })).toMatchObject({ status: 201 });
    expect(await trail(person.userId, 'password_check.failed')).toMatchObject([{ outcome: 'failure' }]);
    expect(await trail(person.userId, 'password.changed')).toHaveLength(1);
  });
});

it('an address is confirmed by the token from the e-mail, once', async () => {
  const person = await makePerson();
  await core`update users set is_verified = false where user_id = ${person.userId}`;
  expect(await post('email-verifications', { email: person.email })).toMatchObject({ status: 202 });
  const token = await tokenFor(person.email, 'email-verification');
  expect(await post('email-verifications/confirm', { token })).toMatchObject({ status: 204 });
  expect(await post('email-verifications/confirm', { token })).toMatchObject({ status: 400 });
  expect(await post('email-verifications/confirm', { token: 'x' })).toMatchObject({ status: 400 });
  expect(await signIn(person)).toMatchObject({ status: 201 });
});

describe('a second factor', () => {
  const codeAt = (secret: string, at = Date.now()): string => {
    const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: at });
    return code;
  };
  const forget = (userId: string) => core`update ops.user_totp set last_step = 0 where user_id = ${userId}`;

  it('is asked for after the password, counts once, and can be recovered from', async () => {
    const person = await makePerson({ acme: 'viewer', globex: 'viewer' });
    const here = { ...person, tenant_id: 'acme' };
    const { token } = (await signIn(here)).body;
    const send = (method: string, path: string, body: unknown, key = 'x') =>
      app.request(method, `/api/v1/auth/totp${path}`, {
        key: token,
        body,
        headers: method === 'POST' ? { 'idempotency-key': key } : {},
      });
    const { password } = person;
    expect(await send('POST', '', { password: 'not the password' })).toMatchObject({ status: 400 });
    const begun = await send('POST', '', { password }, 'begin');
    expect(begun.body.otpauth_uri).toMatch(/^otpauth:\/\/totp\/Comply-AI:person.*issuer=Comply-AI/);
    const secret = begun.body.secret as string;
    secrets.add(secret);
    expect((await send('POST', '', { password }, 'begin')).body).toEqual({ secret: null, otpauth_uri: null });
    // It does not count before it is confirmed.
    expect(await signIn(here)).toMatchObject({ status: 201 });
    expect(await send('POST', '/confirm', { code: codeAt(secret, 0) }, 'c0')).toMatchObject({ status: 400 });
    const confirmed = await send('POST', '/confirm', { code: codeAt(secret) }, 'c1');
    const codes = confirmed.body.recovery_codes as string[];
    expect(new Set(codes).size).toBe(10);
    for (const code of codes) secrets.add(code);
    expect(await send('POST', '', { password }, 'again')).toMatchObject({ status: 409 });

    expect(await signIn(here)).toMatchObject({ status: 401, body: { reason: 'totp_required' } });
    expect((await signIn({ ...here, password: 'no' })).body.reason).toBeUndefined();
    expect(await signIn({ ...here, totp_code: codeAt(secret) })).toMatchObject({
      status: 401,
      body: { reason: 'totp_invalid' },
    });
    await forget(person.userId);
    // Which tenant is asked for before a code is used.
    expect(await signIn({ ...person, totp_code: codeAt(secret) })).toMatchObject({ status: 409 });
    const twice = await Promise.all([1, 2, 3].map(() => signIn({ ...here, totp_code: codeAt(secret) })));
    expect(twice.map(({ status }) => status).sort()).toEqual([201, 401, 401]);
    expect(twice.find(({ status }) => status === 201)?.body.methods).toEqual(['pwd', 'otp']);
    await forget(person.userId);
    for (const off of [-60_000, 60_000 + 30_000])
      expect(await signIn({ ...here, totp_code: codeAt(secret, Date.now() + off) })).toMatchObject(WRONG);
    await core`update users set failed_sign_ins = 0 where user_id = ${person.userId}`;

    const recovery_code = ` ${codes[0]?.toUpperCase()}`;
    expect(await signIn({ ...here, recovery_code })).toMatchObject({ status: 201 });
    expect(await signIn({ ...here, recovery_code })).toMatchObject({ status: 401 });
    expect((await readMe(token)).body.user).toMatchObject({ has_totp: true, recovery_codes_left: 9 });
    const fresh = await send('POST', '/recovery-codes', { password }, 'r');
    expect(await signIn({ ...here, recovery_code: codes[1] })).toMatchObject({ status: 401 });
    expect(fresh.body.recovery_codes).toHaveLength(10);
    for (const code of fresh.body.recovery_codes) secrets.add(code as string);

    // A new password by e-mail does not remove it.
    await post('password-resets', { email: person.email });
    const reset = await tokenFor(person.email, 'password-reset');
    const renewed = 'noch ein neues Wort';
    secrets.add(renewed);
    await post('password-resets/confirm', { token: reset, new_password: renewed });
    expect(await signIn({ ...here, password: renewed })).toMatchObject({
      body: { reason: 'totp_required' },
    });
    const last = await signIn({ ...here, password: renewed, recovery_code: fresh.body.recovery_codes[0] });
    const remove = (given: string) =>
      app.request('DELETE', '/api/v1/auth/totp', { key: last.body.token, body: { password: given } });
    expect(await remove('not the password')).toMatchObject({ status: 400 });
    expect(await remove(renewed)).toMatchObject({ status: 204 });
    expect(await signIn({ ...here, password: renewed })).toMatchObject({ status: 201 });
    for (const action of ['totp.begun', 'totp.confirmed', 'recovery_codes.replaced', 'totp.removed'])
      expect((await trail(person.userId, action)).length).toBe(1);
    // Who knows the password and has no code is seen too, and never locks anybody out.
    const reasons = (await trail(person.userId, 'sign_in.failed', 9)).map(({ details }) => details.reason);
    expect(reasons.filter((reason) => reason === 'totp_missing')).toHaveLength(2);
    expect(
      await core`select from audit_logs where user_id = ${person.userId} and action = 'user.locked'`,
    ).toEqual([]);
  });

  it('is sealed in its row with a key of the platform, which stores no content all the same', async () => {
    const [key] = await core`select data_key_id from tenants where tenant_id = 'platform'`;
    expect(key?.['data_key_id']).toEqual(expect.any(String));
    const mapping = { detector: 'd', source_data: 's', model_version: 'v' };
    const refused = await app.request('POST', '/api/v1/mappings', { key: app.keys.operator, body: mapping });
    expect(refused).toMatchObject({ status: 409 });
  });
});

describe('sessions', () => {
  const sessionsOf = async (token: string, path = 'me/sessions') => {
    const { body } = await app.request('GET', `/api/v1/${path}`, { key: token });
    return body.items as { session_id: string; is_current: boolean }[];
  };
  const end = (token: string, path: string) => app.request('DELETE', `/api/v1/${path}`, { key: token });

  it('are listed and ended by their person, in all tenants', async () => {
    const person = await makePerson({ acme: 'viewer', globex: 'viewer' });
    const open = async (tenant_id: string) => (await signIn({ ...person, tenant_id })).body;
    const [a, b, c] = [await open('acme'), await open('acme'), await open('globex')];
    const listed = await sessionsOf(a.token);
    expect(listed.map((one) => [one.session_id, one.is_current])).toEqual([
      [c.session_id, false],
      [b.session_id, false],
      [a.session_id, true],
    ]);
    const stranger = (await signIn(await makePerson())).body;
    expect(await end(stranger.token, `me/sessions/${b.session_id}`)).toMatchObject({ status: 404 });
    for (const _ of [1, 2])
      expect(await end(a.token, `me/sessions/${b.session_id}`)).toMatchObject({ status: 204 });
    expect(await readMe(b.token)).toMatchObject({ status: 401 });
    expect(await end(a.token, 'me/sessions')).toMatchObject({ status: 204 });
    expect(await readMe(c.token)).toMatchObject({ status: 401 });
    const out = await end(a.token, 'auth/sessions/current');
    expect(out.headers.getSetCookie()[0]).toContain(`${SESSION_COOKIE}=; Path=/; Max-Age=0`);
    expect(await readMe(a.token)).toMatchObject({ status: 401 });
    expect(await readMe(stranger.token)).toMatchObject({ status: 200 });
  });

  it('are listed and ended by the owner of their tenant, there only', async () => {
    const person = await makePerson({ acme: 'viewer', globex: 'viewer' });
    const owner = (await signIn(await makePerson({ acme: 'admin' }))).body.token as string;
    const viewer = (await signIn(await makePerson())).body.token as string;
    const open = async (tenant_id: string) => (await signIn({ ...person, tenant_id })).body;
    const [a, b, c] = [await open('acme'), await open('acme'), await open('globex')];
    const path = `users/${person.userId}/sessions`;
    expect(await end(viewer, path)).toMatchObject({ status: 403 });
    const ids = (await sessionsOf(owner, path)).map((one) => one.session_id);
    expect(ids).toEqual([b.session_id, a.session_id]);
    expect(await end(owner, `${path}/${c.session_id}`)).toMatchObject({ status: 404 });
    expect(await end(owner, `${path}/${a.session_id}`)).toMatchObject({ status: 204 });
    expect(await readMe(a.token)).toMatchObject({ status: 401 });
    expect(await readMe(b.token)).toMatchObject({ status: 200 });
    expect(await end(owner, path)).toMatchObject({ status: 204 });
    expect(await readMe(b.token)).toMatchObject({ status: 401 });
    expect(await readMe(c.token)).toMatchObject({ status: 200 });
    const elsewhere = await makePerson({ globex: 'viewer' });
    expect(await end(owner, `users/${elsewhere.userId}/sessions`)).toMatchObject({ status: 404 });
  });

  it('are listed page by page, each once, without those that have ended', async () => {
    const person = await makePerson({ acme: 'viewer', globex: 'viewer' });
    const { token } = (await signIn({ ...person, tenant_id: 'acme' })).body;
    // More than a page may have, of one moment.
    await core`insert into user_sessions (tenant_id, session_id, user_id, token_hash, created_at, idle_expires_at, expires_at, revoked_at)
      select (array['acme', 'globex'])[1 + n % 2], 'paged' || lpad(n::text, 15, '0'), ${person.userId}, sha256(n::text::bytea),
             now() - interval '1 minute', now() + interval '1 hour', now() + interval '1 hour', case when n > 600 then now() end
        from generate_series(1, 610) n`;
    const walk = async (key: string, first: string) => {
      const pages: string[][] = [];
      for (let path: string | undefined = `/api/v1/${first}`; path !== undefined;) {
        const answer = await app.request('GET', path, { key });
        const items = answer.body.items as { session_id: string }[];
        pages.push(items.map(({ session_id: id }) => id));
        path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
      }
      expect(new Set(pages.flat()).size).toBe(pages.flat().length);
      return pages.map(({ length }) => length);
    };
    expect(await walk(token, 'me/sessions?limit=300&sort=created_at')).toEqual([300, 300, 1]);
    const ofMember = `users/${person.userId}/sessions`;
    expect(await walk(app.keys.acme.owner, `${ofMember}?limit=200`)).toEqual([200, 101]);
    const { headers } = await app.request('GET', `/api/v1/${ofMember}?limit=1`, { key: app.keys.acme.owner });
    const cursor = /cursor=([^&>]+)/.exec(headers.get('link') ?? '')?.[1] ?? '';
    const strange = await app.request('GET', `/api/v1/me/sessions?limit=1&cursor=${cursor}`, { key: token });
    expect([strange.status, strange.body.errors[0].pointer]).toEqual([400, 'query/cursor']);
  });

  it('are not a key’s, which learns who it is', async () => {
    const seen = await readMe(app.keys.acme.reader);
    expect(seen).toMatchObject({
      status: 200,
      body: { kind: 'key', user: null, roles: [], expires_at: null, tenants: [{ tenant_id: 'acme' }] },
    });
    expect(await end(app.keys.acme.owner, 'me/sessions')).toMatchObject({ status: 403 });
  });

  it('and one-time tokens are deleted long after their end', async () => {
    const person = await makePerson();
    const [old, young] = [(await signIn(person)).body, (await signIn(person)).body];
    await post('password-resets', { email: person.email });
    await tokenFor(person.email, 'password-reset');
    const asOf = new Date(Date.now() + 12 * 3_600_000 + 30 * 86_400_000 - 60_000);
    await core`update user_sessions set expires_at = now() where session_id = ${old.session_id}`;
    const { status } = await runJob(app.services, sessionsExpire, { asOf, triggeredBy: 'test' });
    expect(status).toBe('completed');
    const left = await core`select session_id from user_sessions where user_id = ${person.userId}`;
    expect(left).toMatchObject([{ session_id: young.session_id }]);
    expect(await core`select from ops.user_tokens where user_id = ${person.userId}`).toHaveLength(0);
  });
});

it('names are changed by their person', async () => {
  const { token } = (await signIn(await makePerson())).body;
  const answer = await app.request('PUT', '/api/v1/me', {
    key: token,
    body: { first_name: ' Jo ', last_name: null },
  });
  expect(answer).toMatchObject({ status: 200, body: { user: { first_name: 'Jo', last_name: null } } });
});

it('while the database is unavailable, a sign-in is refused with 503', async () => {
  const away = new URL(app.settings.CORE_CROSS_TENANT_DATABASE_URL);
  away.port = '1';
  const services = openServices({ ...app.settings, CORE_CROSS_TENANT_DATABASE_URL: away.href });
  const origin = { traceId: '0', ip: null, userAgent: null };
  const body = { email: 'a@example.com', password: 'any password' };
  const refused: unknown = await signInTo(services, body, origin).catch((error: unknown) => error);
  expect(problemOf(refused, 'auth-sessions-create', '0')).toMatchObject({ status: 503 });
  await services.close();
});

it('no password, token or code is in a log line, a row or an event', async () => {
  await until(
    () => core`select from ops.outbox`,
    (rows) => rows.length === 0,
  );
  const searched = [
    'audit_logs',
    'ops.outbox',
    'ops.idempotency',
    'ops.quarantine',
    'users',
    'user_sessions',
    'ops.user_tokens',
    'ops.user_totp',
    'ops.recovery_codes',
  ];
  const texts = await Promise.all(
    searched.map(async (table) =>
      JSON.stringify(await core`select to_jsonb(t)::text as row from ${core(table)} t`),
    ),
  );
  const everything = [...texts, ...app.logLines].join('\n');
  expect(secrets.size).toBeGreaterThan(50);
  expect([...secrets].filter((secret) => everything.includes(secret))).toEqual([]);
  // Nor a fast hash of a password, which could be guessed.
  const fingerprints = [...secrets].flatMap((password) =>
    ['auth-totp-begin', 'auth-recovery-codes-replace'].map((route) =>
      fingerprintOf([route, {}, { password }]).toString('hex'),
    ),
  );
  expect(fingerprints.filter((hex) => everything.includes(hex))).toEqual([]);
});
