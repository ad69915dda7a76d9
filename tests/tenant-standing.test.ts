import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { usageConsumer } from '../shared/domains/billing/metering/consume-usage.ts';
import { PERMISSIONS } from '../shared/platform/auth/permissions.ts';
import { USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { openBatch } from '../shared/platform/consume/consume.ts';
import { receivedMessages } from '../shared/platform/consume/received-message.ts';
import { readApiDocument, type Operation } from './harness/api-document.ts';
import { startTestApp, until, type TestAnswer, type TestApp, type TestAppOptions } from './harness/app.ts';

/** How soon a status that was changed in the database takes effect, with any caches. */
const ACTS_WITHIN_S = 5;

/** What a tenant that may only read may still change: people and keys, retention and holds, who is told, and that it leaves. */
const OPEN_TO_SUSPENDED = new Set([
  'api-keys-create',
  'api-keys-rotate',
  'api-keys-revoke',
  'legal-holds-create',
  'legal-holds-release',
  'data-retention-policies-create',
  'data-retention-policies-replace',
  'data-retention-policies-deactivate',
  'tenant-config-replace',
  'billing-checkout-sessions-create',
  'billing-portal-sessions-create',
  'billing-subscription-cancel',
  'billing-subscription-resume',
  'billing-subscription-change',
  'billing-subscription-change-preview',
  'api-keys-adopt',
  'invitations-create',
  'invitations-resend',
  'invitations-revoke',
  'roles-create',
  'roles-delete',
  'roles-replace',
  'user-sessions-end',
  'user-sessions-end-all',
  'users-erasure-request',
  'users-remove',
  'users-roles-assign',
  'users-roles-end',
  'webhook-endpoints-create',
  'webhook-endpoints-delete',
  'webhook-endpoints-replace',
  'webhook-endpoints-rotate-secret',
  'tenant-exports-create',
  'tenant-offboarding-create',
  'tenant-offboarding-undo',
]);

const ANY_ID = '00000000-0000-7000-8000-000000000000';

/** Starts an app and waits until its services are open, since the next app of this process changes the environment. */
async function start(options: TestAppOptions): Promise<TestApp> {
  const app = await startTestApp({ ...options, silent: ['timer', 'serviceBus'] });
  await app.request('GET', '/api/health/ready');
  return app;
}

async function addTenant(app: TestApp, tenantId: string): Promise<string> {
  await app.admin
    .core`insert into tenants (tenant_id, name, plan_id, has_quota) values (${tenantId}, ${tenantId}, 'professional', false)`;
  return app.makeKey(tenantId, PERMISSIONS);
}

const setStatus = (app: TestApp, tenantId: string, status: string) =>
  app.admin.core`update tenants set status = ${status} where tenant_id = ${tenantId}`;

/** Sends a minimal request of an operation. The credential is checked before the body. */
const call = (app: TestApp, operation: Operation, key: string): Promise<TestAnswer> =>
  app.request(operation.method, operation.path.replaceAll(/\{\w+\}/g, ANY_ID), {
    key,
    ...(operation.body === undefined ? {} : { raw: '{' }),
  });

// Each of these has its own tenant or key, and mostly waits until a cache is behind no more, so they wait side by side.
describe.concurrent.each([
  ['with Redis', { withoutRedis: false }],
  ['without Redis', { withoutRedis: true }],
])('an erased tenant (%s)', async (_title, options) => {
  const app = await start(options);
  const operations = (await readApiDocument(app)).operations.filter(({ permission }) => permission !== null);

  it(`is 401 on every route within ${ACTS_WITHIN_S} s, and cannot make keys`, async () => {
    const key = await addTenant(app, 'gone');
    const read = () => app.request('GET', '/api/v1/tenant-config', { key });
    expect((await read()).status).toBe(200);
    await setStatus(app, 'gone', 'erased');
    const refused = await until(read, ({ status }) => status !== 200, ACTS_WITHIN_S);
    expect([refused.status, refused.body.code]).toEqual([401, 'UNAUTHORIZED']);
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer/);
    for (const operation of operations)
      expect([operation.id, (await call(app, operation, key)).status]).toEqual([operation.id, 401]);
    const body = { key_name: 'more', permission_set: 'owner' };
    expect((await app.request('POST', '/api/v1/api-keys', { key, body })).status).toBe(401);
    expect(await app.admin.core`select from api_keys where tenant_id = 'gone'`).toHaveLength(1);
  });

  it(`has its events refused within ${ACTS_WITHIN_S} s`, async () => {
    await addTenant(app, 'silenced');
    const consume = async (): Promise<number> => {
      const event = {
        specversion: '1.0',
        id: randomUUID(),
        source: '/meter',
        type: USAGE_RECORDED,
        time: new Date().toISOString(),
        data: { tenant_id: 'silenced', usage_type: 'runs', usage_amount: 1 },
      };
      await openBatch(app.services, 'usage-events', [usageConsumer], receivedMessages([event], {})).consume();
      return (await app.admin.core`select from ops.quarantine where tenant_id = 'silenced'`).length;
    };
    expect(await consume()).toBe(0);
    await setStatus(app, 'silenced', 'erased');
    expect(await until(consume, (refused) => refused > 0, ACTS_WITHIN_S)).toBe(1);
  });
});

describe.concurrent('a key that was changed in the database', async () => {
  const app = await start({});
  const list = (key: string) => app.request('GET', '/api/v1/mappings?limit=1', { key });
  const idOf = (key: string): string => key.split('_')[2] ?? '';

  it.each([
    ['revoked', { is_active: false, revoked_at: new Date() }],
    ['expired', { expires_at: new Date() }],
    ['inactive', { is_active: false }],
  ])(`takes effect within ${ACTS_WITHIN_S} s when it is %s`, async (_what, columns) => {
    const key = await app.makeKey('acme', ['mappings:read']);
    expect((await list(key)).status).toBe(200);
    await app.admin.core`update api_keys set ${app.admin.core(columns)} where key_id = ${idOf(key)}`;
    const refused = await until(
      () => list(key),
      ({ status }) => status !== 200,
      ACTS_WITHIN_S,
    );
    expect(refused.status).toBe(401);
  });

  it('shows when it was last used, and a wrong secret does not count as use', async () => {
    const key = await app.makeKey('acme', ['mappings:read']);
    const lastUsed = async (): Promise<Date | null> => {
      const [row] = await app.admin.core`select last_used_at from api_keys where key_id = ${idOf(key)}`;
      return row?.['last_used_at'];
    };
    const wrong = key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
    expect((await list(wrong)).status).toBe(401);
    expect(await lastUsed()).toBeNull();
    const before = Date.now();
    expect((await list(key)).status).toBe(200);
    const at = await until(lastUsed, (time) => time !== null);
    expect(at?.getTime()).toBeGreaterThanOrEqual(before);
  });
});

describe('a tenant that may only read', async () => {
  const app = await start({});
  const { operations } = await readApiDocument(app);
  it.each([
    ['suspended', { status: 'suspended' }, 403],
    ['offboarding', { status: 'offboarding' }, 403],
    // Only here does a payment help.
    ['not_paid', { billing_standing: 'read_only' }, 402],
  ])('because it is %s writes nothing by POST, PUT or DELETE', async (tenantId, columns, code) => {
    const key = await addTenant(app, tenantId);
    await app.admin.core`update tenants set ${app.admin.core(columns)} where tenant_id = ${tenantId}`;
    // What only a person may do is refused to a key for that reason.
    const writes = operations.filter(
      ({ method, permission }) => method !== 'GET' && permission !== null && permission !== 'person',
    );
    const open: string[] = [];
    const refused = new Map<string, string[]>();
    for (const operation of writes) {
      const answer = await call(app, operation, key);
      if (answer.status === code)
        refused.set(operation.method, [...(refused.get(operation.method) ?? []), operation.id]);
      else open.push(operation.id);
    }
    expect(new Set(open)).toEqual(OPEN_TO_SUSPENDED);
    expect([...refused.keys()].sort()).toEqual(['DELETE', 'POST', 'PUT']);
  });
});
