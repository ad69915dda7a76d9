import { createHmac } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openServices } from '../functions/services.ts';
import { Problem } from '../shared/platform/call/problem.ts';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { startTestApp, until } from './harness/app.ts';
import { signIn } from './harness/members.ts';
import { AUDIENCE, inSeconds, part, startIssuer } from './harness/oidc-issuer.ts';

const app = await startTestApp();
const { core } = app.admin;
const others = [openServices(app.settings), openServices(app.settings)] as const;
afterAll(() => Promise.all(others.map((services) => services.close())));

type Issuer = Awaited<ReturnType<typeof startIssuer>>;
const [entra, elsewhere] = await Promise.all([startIssuer(), startIssuer()]);

const MAPPING = [
  { value: 'Admin', role: 'admin' },
  { value: 'Viewer', role: 'viewer' },
];
let names = 0;

function providerOf(issuer: Pick<Issuer, 'url'>, more: Record<string, unknown> = {}) {
  names += 1;
  return {
    name: `p${names}`,
    issuer: issuer.url,
    audience: AUDIENCE,
    algorithms: ['RS256'],
    role_mapping: MAPPING,
    ...more,
  };
}

/** Replaces a tenant's providers. */
async function believe(tenant: 'acme' | 'globex', providers: unknown, key = app.keys[tenant].owner) {
  const path = '/api/v1/tenant-config';
  const { headers } = await app.request('GET', path, { key });
  return app.request('PUT', path, {
    key,
    headers: { 'if-match': headers.get('etag') ?? '' },
    body: { config_data: { identity_providers: providers } },
  });
}

/** Lists something with a token. */
function list(token: string, { tenant = 'acme', what = 'records', headers = {} } = {}) {
  return app.request('GET', `/api/v1/${what}`, {
    key: token,
    headers: { 'x-tenant-id': tenant, ...headers },
  });
}

/** What the authenticator of this process says of a token at a moment. */
async function judge(token: string, now = new Date(), services: (typeof others)[number] = others[0]) {
  const headers = new Headers({ authorization: `Bearer ${token}`, 'x-tenant-id': 'acme' });
  return Promise.resolve(services.authenticator.authenticate({ method: 'GET', headers }, now)).then(
    (principal) => ({ principal, refusal: undefined }),
    (error: unknown) => ({
      principal: undefined,
      refusal: error instanceof Problem ? error.options.detail : String(error),
    }),
  );
}

const DIRECTORY = '6c1f2a90-0000-4000-8000-000000000001';
const ACMES = providerOf(entra, {
  tid: DIRECTORY,
  services: [{ subject: 'nightly', role: 'viewer' }],
  algorithms: ['RS256', 'ES256'],
});
const ann = (claims = {}, header = {}) =>
  entra.token({ tid: DIRECTORY, roles: ['Viewer'], azp: 'console', scp: 'access', ...claims }, header);

beforeAll(async () => {
  expect(await believe('acme', [ACMES])).toMatchObject({ status: 200 });
  expect(await believe('globex', [providerOf(elsewhere)])).toMatchObject({ status: 200 });
});

describe('a token of a person', () => {
  it('lets the person do what its mapped roles allow, and is in the audit trail once', async () => {
    const token = await ann({ roles: ['Admin', 'Unheard of'], email: 'ann@example.com' });
    expect(await list(token, { what: 'api-keys' })).toMatchObject({ status: 200 });
    const made = await app.request('POST', '/api/v1/api-keys', {
      key: token,
      headers: { 'x-tenant-id': 'acme' },
      body: { key_name: 'of ann', permissions: ['records:read'] },
    });
    const [user, ...more] =
      await core`select u.user_id, u.email from users u join ops.user_identities using (user_id)
      where issuer = ${entra.url} and subject = 'ann'`;
    expect([user?.['email'], more]).toEqual([null, []]);
    expect(made).toMatchObject({ status: 201, body: { created_by: `user:${user?.['user_id']}` } });
    // Another instance sees the same token first.
    expect(await judge(token)).toMatchObject({
      principal: {
        kind: 'oidc_person',
        userId: user?.['user_id'],
        makerId: user?.['user_id'],
        roles: ['admin'],
      },
    });
    await others[0].publisher.drain();
    expect(await list(await ann({ roles: ['Admin'], jti: 'second' }))).toMatchObject({ status: 200 });
    const trail = await until(
      () => core`select action, user_id, details from audit_logs
        where tenant_id = 'acme' and action like 'user.%' and actor = ${`user:${user?.['user_id']}`}`,
      (rows) => rows.length >= 3,
    );
    const actions = trail.map(({ action }) => action as string).sort();
    expect(actions).toEqual(['user.roles_replaced', 'user.signed_in', 'user.signed_in']);
    expect(trail[0]).toMatchObject({ user_id: user?.['user_id'] });
    expect(JSON.stringify(trail)).not.toContain('example.com');
  });

  it('makes one person of several first requests at once', async () => {
    const tokens = await Promise.all([1, 2, 3].map((n) => ann({ sub: 'twin', jti: `${n}` })));
    const answers = await Promise.all([...tokens, ...tokens].map((token) => list(token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await core`select user_id from ops.user_identities where subject = 'twin'`).toHaveLength(1);
    expect(
      await core`select from users where email is null and user_id not in (select user_id from ops.user_identities)`,
    ).toHaveLength(0);
  });

  it('gives the roles of the newest token: an older one brings nothing back', async () => {
    const bob = (iat: number, roles: string[]) => ann({ sub: 'bob', iat: inSeconds(iat), roles });
    const first = await bob(-300, ['Admin', 'Viewer']);
    const second = await bob(-200, ['Viewer']);
    const last = await bob(-100, ['Admin']);
    const late = await bob(-250, ['Admin', 'Viewer']);
    const may = async (token: string) => [
      (await list(token)).status,
      (await list(token, { what: 'api-keys' })).status,
    ];
    expect(await may(first)).toEqual([200, 200]);
    expect(await may(second)).toEqual([200, 403]);
    expect(await may(first)).toEqual([200, 403]);
    expect(await may(late)).toEqual([200, 403]);
    expect(await may(last)).toEqual([200, 200]);
    const rows =
      await core`select role_name, is_active from user_role_assignments join ops.user_identities using (user_id)
      where subject = 'bob' and tenant_id = 'acme' order by 1`;
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { role_name: 'admin', is_active: true },
      { role_name: 'viewer', is_active: false },
    ]);
  });

  it('keeps what somebody has given, and needs a role and an active account', async () => {
    expect(await list(await ann({ sub: 'nobody', roles: [] }))).toMatchObject({ status: 401 });
    expect(await core`select from ops.user_identities where subject = 'nobody'`).toHaveLength(0);
    const token = await ann({ sub: 'carl' });
    expect(await list(token)).toMatchObject({ status: 200 });
    const [{ user_id: id } = {}] = await core`select user_id from ops.user_identities where subject = 'carl'`;
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values ('acme', ${id as string}, 'billing_admin')`;
    const plain = await ann({ sub: 'carl', roles: 'none', iat: inSeconds(-1) });
    expect(await list(plain)).toMatchObject({ status: 403 });
    expect(await list(plain, { what: 'billing/invoices' })).toMatchObject({ status: 200 });
    await core`update users set is_active = false where user_id = ${id as string}`;
    // Another instance, which remembers nothing of the person yet.
    expect((await judge(plain)).refusal).toContain('not active');
  });
});

it.each<[string, unknown, number]>([
  ['a text', 'Viewer', 200],
  ['a list with other things in it', [7, null, { role: 'Admin' }, ['Admin'], 'Viewer'], 200],
  ['an object', { Viewer: true }, 401],
  ['a list in a list', [['Viewer']], 401],
  ['another case', ['viewer'], 401],
])('roles are read from a claim that is %s', async (_, roles, status) => {
  // Okta's scopes are a list.
  expect(await list(await ann({ sub: `r-${(names += 1)}`, roles, scp: ['access'] }))).toMatchObject({
    status,
  });
});

it('a token operates the platform from no tenant, whatever a tenant’s stored settings say', async () => {
  const issuer = await startIssuer();
  const provider = providerOf(issuer, { role_mapping: [{ value: 'Op', role: 'operator' }] });
  await core`update tenant_configs set config_data = ${core.json({ identity_providers: [provider] })}
    where tenant_id = 'globex'`;
  const token = await issuer.token({ roles: ['Op'] });
  await until(
    () => list(token, { tenant: 'globex' }),
    ({ status }) => status === 200,
    5,
  );
  expect(await list(token, { tenant: 'globex', what: 'platform/users' })).toMatchObject({ status: 403 });
  const services = [{ subject: 'op', role: 'operator' }];
  const acting = [providerOf(issuer, { role_mapping: [], services })];
  await core`update tenant_configs set config_data = ${core.json({ identity_providers: acting })}
    where tenant_id = 'globex'`;
  const service = await issuer.token({ sub: 'op' });
  await until(
    () => list(service, { tenant: 'globex' }),
    ({ status }) => status === 200,
    5,
  );
  expect(await list(service, { tenant: 'globex', what: 'platform/users' })).toMatchObject({ status: 403 });
  expect(await believe('globex', [providerOf(elsewhere)])).toMatchObject({ status: 200 });
});

describe('a token of a service', () => {
  it.each([
    ['Entra says so', { idtyp: 'app', oid: 'svc-1', sub: 'svc-1', roles: ['Viewer'] }, 'svc-1'],
    ['it names only the client', { sub: 'client-7', azp: 'client-7', roles: ['Viewer'] }, 'client-7'],
    [
      'object and subject are one, without a scope',
      { sub: 'o1', oid: 'o1', scp: undefined, roles: 'Viewer' },
      'o1',
    ],
    ['the tenant lists it', { sub: 'nightly', azp: undefined, scp: undefined, roles: undefined }, 'nightly'],
  ])('is known because %s, and makes no person', async (_, claims, id) => {
    const { principal } = await judge(await ann(claims));
    expect(principal).toMatchObject({
      kind: 'oidc_service',
      actor: `service:${id}`,
      userId: null,
      roles: ['viewer'],
    });
    expect(await core`select from ops.user_identities where subject = ${id}`).toHaveLength(0);
    const trail = await until(
      () => core`select action from audit_logs where actor = ${`service:${id}`}`,
      (rows) => rows.length > 0,
    );
    expect(trail).toMatchObject([{ action: 'service.signed_in' }]);
  });

  it('does not get the roles of the client that a person uses', async () => {
    const { refusal } = await judge(await ann({ sub: 'dora', azp: 'nightly', roles: [] }));
    expect(refusal).toContain('no role');
  });
});

describe('the time of a token', () => {
  const at = new Date('2026-11-20T12:00:00.500Z');
  const timed = (claims: Record<string, number>) =>
    ann({
      sub: `at-${(names += 1)}`,
      iat: inSeconds(-900, at.getTime()),
      exp: inSeconds(900, at.getTime()),
      ...claims,
    });
  it.each([
    ['expired for 59 s', { exp: -59 }, undefined],
    ['expired for 61 s', { exp: -61 }, 'expired'],
    ['valid in 59 s', { nbf: 59 }, undefined],
    ['valid in 61 s', { nbf: 61 }, 'not valid yet'],
    ['issued in 61 s', { iat: 61 }, 'not valid yet'],
  ])('%s', async (_, seconds, refused) => {
    const claims = Object.fromEntries(
      Object.entries(seconds).map(([claim, value]) => [claim, inSeconds(value, at.getTime())]),
    );
    const { refusal } = await judge(await timed(claims), at);
    if (refused === undefined) expect(refusal).toBeUndefined();
    else expect(refusal).toContain(refused);
  });

  it('counts for a remembered token too', async () => {
    const token = await timed({ exp: inSeconds(-30, at.getTime()) });
    expect(await judge(token, at)).toMatchObject({ refusal: undefined });
    const { refusal } = await judge(token, new Date(at.getTime() + 31_000));
    expect(refusal).toContain('expired');
  });
});

describe('a token is refused', () => {
  const NOT_ACCEPTED = 'none that this tenant accepts';
  const forged = async (header: Record<string, unknown>) => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    return new SignJWT({
      iss: entra.url,
      aud: AUDIENCE,
      sub: 'ann',
      tid: DIRECTORY,
      roles: ['Admin'],
      iat: inSeconds(-1),
      exp: inSeconds(60),
    })
      .setProtectedHeader({ alg: 'RS256', kid: entra.key.kid, jwk: await exportJWK(publicKey), ...header })
      .sign(privateKey);
  };
  const unsigned = (header: Record<string, unknown>) =>
    `${part({ typ: 'JWT', kid: entra.key.kid, ...header })}.${part({ iss: entra.url, aud: AUDIENCE, sub: 'ann', tid: DIRECTORY, roles: ['Admin'], iat: inSeconds(-1), exp: inSeconds(60) })}`;
  const withHmac = (secret: string) => {
    const signed = unsigned({ alg: 'HS256' });
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  };
  it.each<readonly [string, () => string | Promise<string>, string]>([
    ['for another audience', () => ann({ aud: 'api://other' }), 'audience'],
    ['for no audience', () => ann({ aud: undefined }), 'audience'],
    ['of another directory', () => ann({ tid: 'other' }), 'directory'],
    ['of no directory', () => ann({ tid: undefined }), 'directory'],
    ['of another issuer', () => elsewhere.token({ roles: ['Admin'] }), NOT_ACCEPTED],
    [
      'of another issuer that says it is this one',
      () => elsewhere.token({ iss: entra.url, tid: DIRECTORY }),
      NOT_ACCEPTED,
    ],
    ['with a slash after its issuer', () => ann({ iss: `${entra.url}/` }), NOT_ACCEPTED],
    ['without a signature', () => `${unsigned({ alg: 'none' })}.`, NOT_ACCEPTED],
    ['signed with the public key as a secret', () => withHmac(entra.key.pem), NOT_ACCEPTED],
    ['signed with the key set as a secret', () => withHmac(JSON.stringify(entra.key.jwk)), NOT_ACCEPTED],
    ['with its own key', () => forged({}), NOT_ACCEPTED],
    [
      'with an address of its own keys',
      () => forged({ jku: `${elsewhere.url}/keys`, kid: 'x' }),
      NOT_ACCEPTED,
    ],
    ['with an address of its own certificate', () => forged({ x5u: `${elsewhere.url}/keys` }), NOT_ACCEPTED],
    [
      'with a changed claim',
      async () => (await ann()).replace(/\.[^.]+\./, `.${part({ iss: entra.url, sub: 'eve' })}.`),
      NOT_ACCEPTED,
    ],
    ['for a logout', () => ann({}, { typ: 'logout+jwt' }), 'claim'],
    ['without a subject', () => ann({ sub: undefined }), 'claim'],
    ['without an end', () => ann({ exp: undefined }), 'claim'],
    ['without the time of its issue', () => ann({ iat: undefined }), 'claim'],
    ['that ends after all dates', () => ann({ exp: 1e20 }), 'claim'],
    ['with a subject that is not text', () => ann({ sub: 7 as never }), 'claim'],
    ['that is giant', () => ann({ filler: 'x'.repeat(10_000) }), 'too large'],
    ['whose payload is no JSON', () => 'a.b.c', 'is not a token'],
  ])('%s', async (_, make, reason) => {
    const before = elsewhere.requests.length;
    const refused = await list(await make());
    expect(refused).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } });
    expect(refused.body.detail).toContain(reason);
    expect(elsewhere.requests).toHaveLength(before);
  });

  it('without the tenant’s header, and says so; for another spelling or tenant it says nothing', async () => {
    const token = await ann();
    const bare = await app.request('GET', '/api/v1/records', { key: token });
    expect(bare).toMatchObject({ status: 401 });
    expect(bare.body.detail).toContain('X-Tenant-Id');
    const refusals = await Promise.all(
      ['ACME', 'acme, acme', 'no-such-tenant', 'globex', 'platform', '../acme'].map((tenant) =>
        list(token, { tenant }),
      ),
    );
    for (const refused of refusals)
      expect(refused).toMatchObject({
        status: 401,
        body: { detail: 'The token is none that this tenant accepts.' },
      });
    expect(await list(token)).toMatchObject({ status: 200 });
  });

  it('in another tenant, although both believe the same issuer, without a role there', async () => {
    const shared = await startIssuer('ES256');
    const both = { algorithms: ['ES256'] };
    await believe('acme', [ACMES, providerOf(shared, both)]);
    await believe('globex', [providerOf(elsewhere), providerOf(shared, { ...both, role_mapping: [] })]);
    const token = await shared.token({ roles: ['Viewer'] });
    expect(await list(token)).toMatchObject({ status: 200 });
    expect(await list(token, { tenant: 'globex' })).toMatchObject({ status: 401 });
    await believe('globex', [providerOf(elsewhere)]);
  });

  it('and noted once a minute for an address and a reason, without the token', async () => {
    const token = await elsewhere.token({ sub: 'a-secret-subject' });
    for (let n = 0; n < 5; n += 1) await list(token, { headers: { 'x-forwarded-for': '192.0.2.77' } });
    // A fault after the issuer is believed is the tenant's own to know.
    await list(await ann({ aud: 'api://other' }), { headers: { 'x-forwarded-for': '192.0.2.77' } });
    const rows = await until(
      () =>
        core`select tenant_id, details, outcome from audit_logs where ip_address = '192.0.2.77' order by tenant_id`,
      (found) => found.some((row) => row['tenant_id'] === 'acme') && found.length > 1,
    );
    // One more, if a minute has begun meanwhile.
    expect(rows.length).toBeLessThanOrEqual(3);
    expect(rows[0]).toMatchObject({ tenant_id: 'acme', outcome: 'denied', details: { reason: 'audience' } });
    expect(rows.at(-1)).toMatchObject({ tenant_id: 'platform', details: { reason: 'not_trusted' } });
    expect(JSON.stringify(rows)).not.toContain('a-secret-subject');
    expect(app.logLines.join('\n')).not.toContain(token.split('.')[2]);
  });
});

describe('the keys of an issuer', () => {
  it('are read again for an unknown key, once for many made-up ones, and count on while they cannot be read', async () => {
    const issuer = await startIssuer();
    await believe('acme', [ACMES, providerOf(issuer)]);
    const token = (sub: string, header = {}) => issuer.token({ sub, roles: ['Viewer'] }, header);
    const reads = () => issuer.requests.filter((path) => path === '/keys').length;
    expect(await list(await token('one'))).toMatchObject({ status: 200 });
    expect(reads()).toBe(1);
    await issuer.rotate();
    expect(await list(await token('two'))).toMatchObject({ status: 200 });
    expect(reads()).toBe(2);
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, n) => token(`m${n}`, { kid: `made-up-${n}` })),
    );
    const answers = await Promise.all(made.map((one) => list(one)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(reads()).toBe(2);
    issuer.setDown(true);
    expect(await list(await token('three'))).toMatchObject({ status: 200 });
    const unknown = await startIssuer();
    unknown.setDown(true);
    await believe('acme', [ACMES, providerOf(unknown)]);
    const early = await list(await unknown.token({ roles: ['Viewer'] }));
    expect([early.status, early.headers.get('retry-after')]).toEqual([503, '10']);
    await believe('acme', [ACMES]);
  });

  it.each(['PS256', 'EdDSA'] as const)(
    'may be of the algorithm %s, if the tenant says so',
    async (algorithm) => {
      const issuer = await startIssuer(algorithm);
      const token = await issuer.token({ roles: ['Viewer'] });
      await believe('acme', [ACMES, providerOf(issuer)]);
      expect(await list(token)).toMatchObject({ status: 401 });
      await believe('acme', [
        ACMES,
        providerOf(issuer, { algorithms: [algorithm], jwks_uri: `${issuer.url}/keys` }),
      ]);
      expect(await list(token)).toMatchObject({ status: 200 });
      await believe('acme', [ACMES]);
    },
  );

  it('that a tenant names itself make people of that tenant only', async () => {
    const issuer = await startIssuer();
    const token = await issuer.token({ roles: ['Viewer'] });
    await believe('acme', [ACMES, providerOf(issuer)]);
    await believe('globex', [providerOf(issuer, { jwks_uri: `${issuer.url}/keys` })]);
    expect(await list(token)).toMatchObject({ status: 200 });
    expect(await list(token, { tenant: 'globex' })).toMatchObject({ status: 200 });
    const people = await core`select user_id from ops.user_identities where issuer like ${`${issuer.url}%`}`;
    expect(new Set(people.map(({ user_id: id }) => id as string)).size).toBe(2);
    // A claim that is called like a tenant makes nobody that tenant's.
    await believe('acme', [ACMES, providerOf(issuer, { subject_claim: 'globex' })]);
    expect(await list(await issuer.token({ roles: ['Viewer'], globex: 'ann' }))).toMatchObject({
      status: 200,
    });
    const [third, ...more] = await core`select issuer from ops.user_identities
      where issuer like ${`${issuer.url}%`} and user_id not in ${core(people.map(({ user_id: id }) => id as string))}`;
    expect([third, more]).toEqual([{ issuer: `${issuer.url} globex` }, []]);
    await believe('globex', [providerOf(elsewhere)]);
    await believe('acme', [ACMES]);
  });
});

describe('a tenant’s list of identity providers', () => {
  it('loses a provider everywhere within 5 s, and what its people’s keys had from it', async () => {
    const issuer = await startIssuer();
    const provider = providerOf(issuer);
    await believe('acme', [ACMES, provider]);
    const token = await issuer.token({ roles: ['Admin'] });
    const made = await app.request('POST', '/api/v1/api-keys', {
      key: token,
      headers: { 'x-tenant-id': 'acme' },
      body: { key_name: 'deputy', permissions: ['records:read'] },
    });
    const deputy = made.body.api_key as string;
    expect(await app.request('GET', '/api/v1/records', { key: deputy })).toMatchObject({ status: 200 });
    await until(
      () => judge(token),
      ({ refusal }) => refusal === undefined,
      5,
    );
    await until(
      () => judge(token, new Date(), others[1]),
      ({ refusal }) => refusal === undefined,
      5,
    );
    await believe('acme', [ACMES]);
    expect(await list(token)).toMatchObject({ status: 401 });
    // Another instance does not know it yet, but makes nothing new of it.
    const late = await issuer.token({ sub: 'late', roles: ['Admin'] });
    expect((await judge(late, new Date(), others[1])).refusal).toContain('none that');
    expect(
      await core`select from user_role_assignments join ops.user_identities using (user_id)
        where issuer = ${issuer.url} and is_active`,
    ).toHaveLength(0);
    await until(
      () => judge(token),
      ({ refusal }) => refusal !== undefined,
      5,
    );
    await until(
      () => app.request('GET', '/api/v1/records', { key: deputy }),
      ({ status }) => status === 401,
      5,
    );
    const told = await until(
      () => core`select details from audit_logs where action = 'tenant_config.replaced' and details ? 'roles_ended'
        order by created_at desc limit 1`,
      (rows) => rows[0]?.['details'].roles_ended === 1,
    );
    expect(told).toMatchObject([{ details: { providers_ended: [provider.name], roles_ended: 1 } }]);
  });

  it('gives no role with a permission that its writer lacks, and only with users:manage', async () => {
    const issuer = { url: 'https://login.example.com/v2.0' };
    const without = (...missing: string[]) =>
      app.makeKey(
        'acme',
        PERMISSION_SETS.owner.filter((permission) => !missing.includes(permission)),
      );
    const added = [ACMES, providerOf(issuer)];
    const viewers = [ACMES, providerOf(issuer, { role_mapping: [MAPPING[1]] })];
    const noBilling = await without('billing:manage');
    expect(await believe('acme', added, noBilling)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('admin (billing:manage)') },
    });
    expect(await believe('acme', viewers, noBilling)).toMatchObject({ status: 200 });
    const noPeople = await without('users:manage');
    expect(await believe('acme', [ACMES, providerOf(issuer, { role_mapping: [] })], noPeople)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('users:manage') },
    });
    // What stays as it is needs nothing, and what is taken away neither.
    expect(await believe('acme', viewers, noPeople)).toMatchObject({ status: 200 });
    expect(await believe('acme', [ACMES], noPeople)).toMatchObject({ status: 200 });
    // Nor for longer than its writer has it.
    const { token } = await signIn(app, 'acme', { admin: new Date(Date.now() + 3_600_000) });
    expect(await believe('acme', added, token)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('for longer') },
    });
    const services = [{ subject: 's', role: 'operator' }];
    expect(await believe('acme', [ACMES, providerOf(issuer, { services })])).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('operator (platform:operate)') },
    });
  });

  it.each([
    ['an unknown role', { role_mapping: [{ value: 'x', role: 'no_such' }] }, '/role_mapping/0/role'],
    ['no signature', { algorithms: ['none'] }, '/algorithms/0'],
    ['a shared secret', { algorithms: ['RS256', 'HS256'] }, '/algorithms/1'],
    ['an issuer without TLS', { issuer: 'http://login.example.com' }, '/issuer'],
    ['an issuer in a private network', { issuer: 'https://10.1.2.3/' }, '/issuer'],
    ['keys at the cloud’s metadata', { jwks_uri: 'https://169.254.169.254/keys' }, '/jwks_uri'],
    ['keys at a name of this network', { jwks_uri: 'https://vault.internal/keys' }, '/jwks_uri'],
    ['keys with a password', { jwks_uri: 'https://a:b@login.example.com/keys' }, '/jwks_uri'],
    ['an unknown member', { trust_all: true }, '/trust_all'],
  ])('refuses %s', async (_, more, pointer) => {
    const refused = await believe('acme', [ACMES, providerOf({ url: 'https://login.example.com' }, more)]);
    expect(refused).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
    expect(refused.body.errors[0].pointer).toBe(`/config_data/identity_providers/1${pointer}`);
  });

  it('is empty for settings that are stored in a form which this build does not understand', async () => {
    await believe('acme', [ACMES, providerOf(elsewhere)]);
    await core`update tenant_configs set config_data = jsonb_set(config_data, '{identity_providers,1,only_from}', '"x"')
                where tenant_id = 'acme'`;
    const token = await elsewhere.token({ roles: ['Viewer'] });
    await until(
      () => list(token),
      ({ status }) => status === 401,
      5,
    );
    expect(await list(await ann())).toMatchObject({ status: 200 });
    await believe('acme', [ACMES]);
  });
});
