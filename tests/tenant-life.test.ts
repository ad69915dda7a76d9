import { afterAll, describe, expect, it } from 'vitest';
import { openServices } from '../functions/services.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
/** Another instance of the service, which learns of changes only from the database. */
const elsewhere = openServices(app.settings);
afterAll(() => elsewhere.close());

/** How soon a status takes effect on every instance. */
const ACTS_WITHIN_S = 5;
const MAPPING = { detector: 'd', source_data: 's', model_version: 'v' };
let made = 0;

/** A new tenant with its owner's key. */
async function makeTenant(): Promise<{ id: string; key: string }> {
  const id = `life-${(made += 1)}`;
  const answer = await operate('', { tenant_id: id, name: id });
  expect(answer.status).toBe(201);
  return { id, key: answer.body.owner_api_key };
}

const operate = (path: string, body?: unknown): Promise<TestAnswer> =>
  app.request('POST', `/api/v1/platform/tenants${path}`, { key: app.keys.operator, body });
const suspend = (id: string) => operate(`/${id}/suspend`, { reason: 'abuse' });
const reactivate = (id: string) => operate(`/${id}/reactivate`);
const expel = (id: string) => operate(`/${id}/offboarding`, { confirm: id, reason: 'contract ended' });
const keep = (id: string) => operate(`/${id}/offboarding/undo`);
const leave = ({ id, key }: { id: string; key: string }) =>
  app.request('POST', '/api/v1/tenant/offboarding', { key, body: { confirm: id } });
const stay = ({ key }: { key: string }) => app.request('POST', '/api/v1/tenant/offboarding/undo', { key });
const own = async ({ key }: { key: string }) => (await app.request('GET', '/api/v1/tenant', { key })).body;
const write = (key: string) => app.request('POST', '/api/v1/mappings', { key, body: MAPPING });
const setStatus = (id: string, status: string) =>
  app.admin.core`update tenants set status = ${status}, offboarding_ends_at = null where tenant_id = ${id}`;

describe('an operator', () => {
  it('suspends a tenant, which then reads and exports, and reactivates it', async () => {
    const tenant = await makeTenant();
    expect((await write(tenant.key)).status).toBe(201);
    const suspended = await suspend(tenant.id);
    expect([suspended.status, suspended.body.status, suspended.body.status_reason]).toEqual([
      200,
      'suspended',
      'abuse',
    ]);
    const refused = await write(tenant.key);
    // No payment helps: it is not 402.
    expect([refused.status, refused.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    expect(refused.body.detail).toContain('suspended');
    expect((await own(tenant)).status_reason).toBe('abuse');
    expect((await app.request('GET', '/api/v1/mappings', { key: tenant.key })).status).toBe(200);
    expect((await app.request('POST', '/api/v1/tenant/exports', { key: tenant.key })).status).toBe(201);
    expect((await reactivate(tenant.id)).body).toMatchObject({ status: 'active', status_reason: null });
    expect((await write(tenant.key)).status).toBe(201);
  });

  it('begins an offboarding and undoes it; the tenant cannot', async () => {
    const tenant = await makeTenant();
    await suspend(tenant.id);
    expect((await leave(tenant)).status).toBe(409);
    expect((await expel(tenant.id)).body).toMatchObject({
      status: 'offboarding',
      offboarding_began_by: 'operator',
    });
    const refused = await stay(tenant);
    expect([refused.status, refused.body.detail]).toEqual([409, expect.stringContaining('operator')]);
    expect((await keep(tenant.id)).body.status).toBe('active');
  });

  it('cannot change the platform’s own tenant, nor one that does not exist', async () => {
    for (const answer of [await suspend('platform'), await expel('platform'), await reactivate('platform')])
      expect([answer.status, answer.body.code]).toEqual([409, 'CONFLICT']);
    expect((await write(app.keys.operator)).status).not.toBe(403);
    expect((await suspend('nobody')).status).toBe(404);
  });

  it('learns why a change is not possible', async () => {
    const { id } = await makeTenant();
    const tried = async (status: string) => {
      await setStatus(id, status);
      const answers: TestAnswer[] = [];
      for (const change of [suspend, reactivate, expel, keep]) {
        const answer = await change(id);
        if (answer.status === 409) answers.push(answer);
        await setStatus(id, status);
      }
      return answers.map(({ body }) => body.detail);
    };
    expect(await tried('active')).toEqual(['The tenant is active already.', 'The tenant is not leaving.']);
    expect(await tried('suspended')).toEqual([
      'The tenant is suspended already.',
      'The tenant is not leaving.',
    ]);
    expect(await tried('offboarding')).toEqual([
      'The tenant is leaving, so it may only read already.',
      'The tenant is leaving. Undo the offboarding, instead of ending a suspension.',
      'The tenant is leaving already.',
      // Set by hand, without an end: nothing says that it could still be undone.
      'The days in which it could be undone are over: the tenant is being erased.',
    ]);
    expect(new Set(await tried('erased'))).toEqual(new Set(['The tenant is erased. That is final.']));
  });

  it('is a key of the platform: no tenant’s owner may', async () => {
    const { id, key } = await makeTenant();
    for (const path of ['suspend', 'reactivate', 'offboarding', 'offboarding/undo'])
      expect(
        (await app.request('POST', `/api/v1/platform/tenants/${id}/${path}`, { key, body: {} })).status,
      ).toBe(403);
  });
});

describe('an owner', () => {
  it('leaves and comes back within the days', async () => {
    const tenant = await makeTenant();
    const wrong = { key: tenant.key, body: { confirm: 'acme' } };
    expect((await app.request('POST', '/api/v1/tenant/offboarding', wrong)).status).toBe(409);
    const { status, body } = await leave(tenant);
    expect([status, body.status, body.offboarding_began_by]).toEqual([200, 'offboarding', 'tenant']);
    const days = (Date.parse(body.offboarding_ends_at) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(app.settings.OFFBOARDING_DAYS);
    const refused = await write(tenant.key);
    expect([refused.status, refused.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    expect((await app.request('GET', '/api/v1/mappings', { key: tenant.key })).status).toBe(200);
    expect((await app.request('POST', '/api/v1/tenant/exports', { key: tenant.key })).status).toBe(201);
    expect((await leave(tenant)).status).toBe(409);
    expect((await stay(tenant)).body).toMatchObject({ status: 'active', offboarding_ends_at: null });
    expect((await write(tenant.key)).status).toBe(201);
  });

  it('cannot come back after the days', async () => {
    const tenant = await makeTenant();
    await leave(tenant);
    await app.admin
      .core`update tenants set offboarding_ends_at = now() - interval '1 second' where tenant_id = ${tenant.id}`;
    for (const answer of [await stay(tenant), await keep(tenant.id)]) expect(answer.status).toBe(409);
    expect((await own(tenant)).status).toBe('offboarding');
  });

  it('may leave with a spent allowance, and needs the permission', async () => {
    const tenant = await makeTenant();
    await app.request('GET', '/api/v1/usage', { key: tenant.key });
    await app.admin
      .billing`update free_tier_usage set current_usage = usage_limit where tenant_id = ${tenant.id}`;
    expect((await write(tenant.key)).status).toBe(402);
    const other = { id: tenant.id, key: await app.makeKey(tenant.id, ['tenant:export']) };
    expect((await leave(other)).status).toBe(403);
    expect((await leave(tenant)).status).toBe(200);
  });
});

it('each change is in the tenant’s trail and in the platform’s', async () => {
  const tenant = await makeTenant();
  await suspend(tenant.id);
  await reactivate(tenant.id);
  await leave(tenant);
  await stay(tenant);
  const ACTIONS = ['suspended', 'reactivated', 'offboarding_began', 'offboarding_undone'].map(
    (name) => `tenant.${name}`,
  );
  for (const trail of [tenant.id, 'platform']) {
    const entries = await until(
      () => app.admin.core`select action, details, actor from audit_logs
        where tenant_id = ${trail} and resource_id = ${tenant.id} and action = any(${ACTIONS}) order by created_at`,
      (rows) => rows.length >= ACTIONS.length,
    );
    expect(entries.map(({ action }) => action)).toEqual(ACTIONS);
    expect(entries[0]?.['details']).toMatchObject({ reason: 'abuse', previous_status: 'active' });
    expect(entries.every(({ actor }) => String(actor).startsWith('key:'))).toBe(true);
  }
});

it(`a status takes effect on another instance within ${ACTS_WITHIN_S} s`, async () => {
  const { id } = await makeTenant();
  const seen = async () => (await elsewhere.tenants.find(id))?.status;
  expect(await seen()).toBe('active');
  for (const [change, status] of [
    [suspend, 'suspended'],
    [reactivate, 'active'],
  ] as const) {
    await change(id);
    expect(await until(seen, (now) => now === status, ACTS_WITHIN_S)).toBe(status);
  }
});

describe('of two changes at once', () => {
  it.each([
    ['suspensions', 'active', [suspend, suspend]],
    ['a suspension and an offboarding', 'active', [suspend, expel]],
    ['reactivations', 'suspended', [reactivate, reactivate]],
    ['an undo and another undo', 'offboarding', [keep, keep]],
  ] as const)('(%s) the second one sees what the first one made', async (_what, before, changes) => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await makeTenant();
      if (before === 'suspended') await suspend(id);
      if (before === 'offboarding') await expel(id);
      const answers = await Promise.all(changes.map((change) => change(id)));
      const well = answers.filter(({ status }) => status === 200);
      // A suspended tenant may still be offboarded, so both may happen, in that order.
      const bothFit = changes[1] === expel && well.some(({ body }) => body.status === 'suspended');
      expect(well).toHaveLength(bothFit ? 2 : 1);
      expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
      const [row] = await app.admin.core`select status, version from tenants where tenant_id = ${id}`;
      expect(well.map(({ body }) => body.status)).toContain(row?.['status']);
      expect(row?.['version']).toBe(1 + (before === 'active' ? 0 : 1) + well.length);
    }
  });
});
