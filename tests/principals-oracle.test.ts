import { createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { openSession } from '../shared/domains/identity/sessions/open-session.ts';
import { PERMISSION_SETS, type Permission } from '../shared/platform/auth/permissions.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { readApiDocument } from './harness/api-document.ts';
import { startTestApp, type TestAnswer } from './harness/app.ts';
import { AUDIENCE, inSeconds, part, startIssuer } from './harness/oidc-issuer.ts';
import { ROUTES, type Route } from './oracle/routes.ts';

// Who may what: every route with every kind of caller. A request names a query parameter that no route knows. So whoever may call the
// route gets 400 for that parameter, after all checks of the caller, and nothing changes. tests/access-oracle.test.ts shows what those
// who may call a route then see and change.

// Nobody reads here what refusals cause.
const app = await startTestApp({ silent: ['timer', 'serviceBus'] });
const api = await readApiDocument(app);
const { core } = app.admin;
const [entra, stranger] = await Promise.all([startIssuer(), startIssuer()]);
const NOBODYS = 'no_such_parameter';
const HOUR_MS = 3_600_000;

for (const [tenant, status] of [
  ['halted', 'suspended'],
  ['leaving', 'offboarding'],
  ['gone', 'erased'],
] as const)
  await core`insert into tenants (tenant_id, name, plan_id, has_quota) values (${tenant}, ${tenant}, 'professional', false)`.then(
    () => core`update tenants set status = ${status} where tenant_id = ${tenant}`,
  );

const PROVIDER = {
  name: 'entra',
  issuer: entra.url,
  audience: AUDIENCE,
  algorithms: ['RS256'],
  role_mapping: [{ value: 'Viewer', role: 'viewer' }],
  services: [{ subject: 'mapper', role: 'user' }],
};
for (const tenant of ['acme', 'halted'])
  await core`insert into tenant_configs (tenant_id, config_data) values (${tenant}, ${core.json({ identity_providers: [PROVIDER] })})
    on conflict (tenant_id) do update set config_data = excluded.config_data`;

/** A person with roles in tenants. */
async function person(roles: Readonly<Record<string, string>>, isActive = true): Promise<string> {
  const userId = newId();
  await core`insert into users (user_id, email, is_verified, is_active)
    values (${userId}, ${`${userId}@example.com`}, true, ${isActive})`;
  for (const [tenant, role] of Object.entries(roles))
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values (${tenant}, ${userId}, ${role})`;
  return userId;
}

/** The token of a person's session in a tenant. */
async function session(tenantId: string, userId: string, openedAt = new Date()): Promise<string> {
  const origin = { traceId: '0', ip: null, userAgent: null };
  const opened = await app.services.crossTenant.core.transaction((transaction) =>
    openSession(app.services, transaction, { tenantId, userId, methods: ['pwd'], origin }, openedAt),
  );
  return opened.token;
}

const OWNER = PERMISSION_SETS.owner;
const key = (tenant: string, columns: Readonly<Record<string, unknown>> = {}) =>
  app.makeKey(tenant, OWNER, columns);
const ann = (claims = {}, header = {}) =>
  entra.token({ sub: 'ann', scp: 'access', azp: 'console', roles: ['Viewer'], ...claims }, header);

/** A token that is signed with the issuer's public key as if that were a shared secret (RFC 8725 §2.1). */
function signedWithPublicKey(): string {
  const head = part({ alg: 'HS256', kid: entra.key.kid, typ: 'JWT' });
  const body = part({ iss: entra.url, aud: AUDIENCE, sub: 'ann', roles: ['Viewer'], exp: inSeconds(600) });
  const signature = createHmac('sha256', entra.key.pem).update(`${head}.${body}`).digest('base64url');
  return `${head}.${body}.${signature}`;
}

const unsigned = (): string =>
  `${part({ alg: 'none', typ: 'JWT' })}.${part({ iss: entra.url, aud: AUDIENCE, sub: 'ann', roles: ['Viewer'], exp: inSeconds(600) })}.`;

const both = await person({ acme: 'viewer', globex: 'admin' });
const acmesAdmin = await person({ acme: 'admin' });

/** A caller, and what the rules say of it. `null`: refused whatever it asks for. */
interface Caller {
  readonly credential: string;
  /** The tenant that the header names, for tokens that name none. */
  readonly tenant?: string;
  readonly may: readonly Permission[] | null;
  readonly isPerson?: boolean;
  readonly tenantStatus?: 'suspended' | 'offboarding';
}

const inAcme = { tenant: 'acme' } as const;
const CALLERS: Readonly<Record<string, Caller>> = {
  'an API key': { credential: app.keys.acme.owner, may: OWNER },
  'an API key with one permission': {
    credential: await app.makeKey('acme', ['usage:read']),
    may: ['usage:read'],
  },
  'an API key that a person made': {
    credential: await key('acme', { made_by_user: both }),
    may: PERMISSION_SETS.reader,
  },
  'an API key whose maker has left': {
    credential: await key('acme', { made_by_user: await person({}) }),
    may: null,
  },
  'an API key that has expired': {
    credential: await key('acme', { expires_at: new Date(Date.now() - 1_000) }),
    may: null,
  },
  'an API key that was revoked': {
    credential: await key('acme', { is_active: false, revoked_at: new Date() }),
    may: null,
  },
  'a session': { credential: await session('acme', acmesAdmin), may: OWNER, isPerson: true },
  'a person of two tenants, in one': {
    credential: await session('acme', both),
    may: PERMISSION_SETS.reader,
    isPerson: true,
  },
  'a person of two tenants, in the other': {
    credential: await session('globex', both),
    may: OWNER,
    isPerson: true,
  },
  'an auditor': {
    credential: await session('acme', await person({ acme: 'auditor' })),
    may: PERMISSION_SETS.auditor,
    isPerson: true,
  },
  'a session that has expired': {
    credential: await session('acme', acmesAdmin, new Date(Date.now() - 13 * HOUR_MS)),
    may: null,
  },
  'a session that was ended': { credential: await endedSession(), may: null },
  'a session in a tenant without a role': { credential: await session('globex', acmesAdmin), may: null },
  'a person whose account is locked by an operator': {
    credential: await session('acme', await person({ acme: 'admin' }, false)),
    may: null,
  },
  'a person by OIDC': { credential: await ann(), ...inAcme, may: PERMISSION_SETS.reader, isPerson: true },
  'a service by OIDC': {
    credential: await entra.token({ sub: 'mapper', idtyp: 'app', oid: 'mapper' }),
    ...inAcme,
    may: PERMISSION_SETS.writer,
  },
  'a token without a tenant': { credential: await ann(), may: null },
  'a token that has expired': { credential: await ann({ exp: inSeconds(-61) }), ...inAcme, may: null },
  'a token for another audience': { credential: await ann({ aud: 'api://other' }), ...inAcme, may: null },
  'a token of another issuer': {
    credential: await stranger.token({ roles: ['Viewer'] }),
    ...inAcme,
    may: null,
  },
  'a token that another issuer signed': {
    credential: await stranger.token({ iss: entra.url, roles: ['Viewer'] }),
    ...inAcme,
    may: null,
  },
  'a token with alg none': { credential: unsigned(), ...inAcme, may: null },
  'a token signed with HS256 and the public key': { credential: signedWithPublicKey(), ...inAcme, may: null },
  'a token of another tenant': { credential: await ann(), tenant: 'globex', may: null },
  'a key of a suspended tenant': { credential: await key('halted'), may: OWNER, tenantStatus: 'suspended' },
  'a session in a suspended tenant': {
    credential: await session('halted', await person({ halted: 'admin' })),
    may: OWNER,
    isPerson: true,
    tenantStatus: 'suspended',
  },
  'a token for a suspended tenant': {
    credential: await ann({ sub: 'bob' }),
    tenant: 'halted',
    may: PERMISSION_SETS.reader,
    isPerson: true,
    tenantStatus: 'suspended',
  },
  'a key of a tenant that is leaving': {
    credential: await key('leaving'),
    may: OWNER,
    tenantStatus: 'offboarding',
  },
  'a key of an erased tenant': { credential: await key('gone'), may: null },
  'a session in an erased tenant': {
    credential: await session('gone', await person({ gone: 'admin' })),
    may: null,
  },
  'an operator’s key': { credential: app.keys.operator, may: PERMISSION_SETS.operator },
  'an operator in person': {
    credential: await session('platform', await person({ platform: 'operator' })),
    may: PERMISSION_SETS.operator,
    isPerson: true,
  },
  'a key of nobody': { credential: `cai_local_${'a'.repeat(20)}_${'b'.repeat(40)}`, may: null },
  'no credential': { credential: '', may: null },
};

async function endedSession(): Promise<string> {
  const token = await session('acme', acmesAdmin);
  await core`update user_sessions set revoked_at = now() where session_id = ${token.split('_')[1] ?? ''}`;
  return token;
}

type Answer = 'unauthorized' | 'forbidden' | 'not now' | 'let in';

/** The rules, written independently of the app's code. */
function expected(caller: Caller, { needs, method }: Route, isOpenToSuspended: boolean): Answer {
  if (caller.may === null) return 'unauthorized';
  const may =
    needs === null ||
    needs === 'authenticated' ||
    (needs === 'person' ? caller.isPerson === true : caller.may.includes(needs));
  if (!may) return 'forbidden';
  return caller.tenantStatus === undefined || method === 'GET' || isOpenToSuspended ? 'let in' : 'not now';
}

/** What an answer says; another answer in full. */
function seen({ status, body }: TestAnswer): string {
  if (status === 401 && body.code === 'UNAUTHORIZED') return 'unauthorized' satisfies Answer;
  if (status === 403 && body.code === 'INSUFFICIENT_RBAC')
    return /may read and export, but not write/.test(String(body.detail)) ? 'not now' : 'forbidden';
  const isParameters = JSON.stringify(body.errors ?? '').includes(NOBODYS);
  return status === 400 && isParameters ? 'let in' : `${status} ${JSON.stringify(body)}`;
}

/**
 * What a tenant that may not write can still change: its people and keys, what it must keep, who is told, what it pays, and that it
 * leaves and takes its data along. A webhook's test is a message, and a check of a promotional code is of no use without a contract.
 */
const OPEN_TO_SUSPENDED =
  /^(auth|me|users|invitations|roles|api-keys|legal-holds|data-retention-policies|tenant|tenant-config|webhook-endpoints|billing)(\/|$)/;
const YET_CLOSED = new Set(['webhook-endpoints-test', 'promotional-codes-validate']);

async function send({ credential, tenant }: Caller, route: Route): Promise<TestAnswer> {
  const path = route.path.split('?')[0]?.replaceAll('{}', newId()) ?? '';
  return app.request(route.method, `/api/v1/${path}?${NOBODYS}=1`, {
    ...(credential === '' ? {} : { key: credential }),
    headers: tenant === undefined ? {} : { 'x-tenant-id': tenant },
    ...(route.method === 'GET' ? {} : { body: {} }),
  });
}

const guarded = ROUTES.filter(
  ({ needs, operation }, n) =>
    needs !== null && ROUTES.findIndex((route) => route.operation === operation) === n,
);

it('has every guarded route of the API', () => {
  const documented = api.operations.filter(({ permission }) => permission !== null);
  expect(guarded.map(({ operation }) => operation).sort()).toEqual(documented.map(({ id }) => id).sort());
});

it.each(Object.entries(CALLERS))('%s may call exactly what the rules allow', async (_, caller) => {
  const faults: string[] = [];
  const queue = guarded.values();
  const worker = async (): Promise<void> => {
    for (const route of queue) {
      const answer = seen(await send(caller, route));
      const foretold = expected(
        caller,
        route,
        OPEN_TO_SUSPENDED.test(route.path) && !YET_CLOSED.has(route.operation),
      );
      if (answer !== foretold) faults.push(`${route.method} ${route.path}: ${answer}, not ${foretold}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  expect(faults.join('\n')).toBe('');
});
