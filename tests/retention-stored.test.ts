import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestApp } from './harness/app.ts';
import { readApiDocument } from './harness/api-document.ts';

// Settings and policies that were stored before today's rules, or by another build.

const app = await startTestApp();
const { operator } = app.keys;
const { core } = app.admin;
const DAY_MS = 86_400_000;

afterEach(() => core`delete from data_retention_policies`.then(() => undefined));

interface Stored {
  readonly settings?: unknown;
  readonly policy?: { readonly type?: string; readonly days: number; readonly framework?: string };
}

interface Tenant {
  readonly tenantId: string;
  readonly key: string;
}

let tenants = 0;

/** A tenant with stored settings or a policy. The app reads them with the tenant's first request. */
async function newTenant(stored: Stored = {}): Promise<Tenant> {
  const tenantId = `stored-${++tenants}`;
  const answer = await app.request('POST', '/api/v1/platform/tenants', {
    key: operator,
    body: { tenant_id: tenantId, name: tenantId, plan_id: 'professional' },
  });
  expect(answer.status).toBe(201);
  const tenant = { tenantId, key: answer.body.owner_api_key };
  await store(tenant, stored);
  return tenant;
}

async function store({ tenantId }: Tenant, { settings, policy }: Stored): Promise<void> {
  if (settings !== undefined)
    await core`
      insert into tenant_configs (tenant_id, config_data) values (${tenantId}, ${core.json(settings as never)})
      on conflict (tenant_id) do update set config_data = excluded.config_data`;
  if (policy !== undefined)
    await core`
      insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days, compliance_framework)
      values (${tenantId}, ${randomUUID()}, ${policy.type ?? 'mappings'}, ${policy.days}, ${policy.framework ?? null})`;
}

async function makeMapping({ key }: Tenant): Promise<string> {
  const body = { detector: 'd', source_data: 'x', model_version: 'v1' };
  const answer = await app.request('POST', '/api/v1/mappings', { key, body });
  expect(answer.status).toBe(201);
  return answer.body.request_id;
}

async function daysOf(mapping: string): Promise<number> {
  const [row] = await core`
    select round(extract(epoch from expires_at - created_at) / 86400)::int as days from mapper_requests
     where request_id = ${mapping}`;
  return row?.['days'] as number;
}

const daysOfNew = async (tenant: Tenant): Promise<number> => daysOf(await makeMapping(tenant));

const expire = async (): Promise<Record<string, number>> => {
  const answer = await app.request('POST', '/api/v1/platform/jobs/records-expire/runs', {
    key: operator,
    body: { as_of: new Date(Date.now() + DAY_MS / 2).toISOString() },
  });
  expect([answer.status, answer.body.status]).toEqual([200, 'completed']);
  return answer.body.details;
};

const makePolicy = ({ key }: Tenant, days = 3650) =>
  app.request('POST', '/api/v1/data-retention-policies', {
    key,
    body: { data_type: 'mappings', retention_days: days },
  });

describe('stored days below a framework’s minimum', () => {
  it.each<[string, Stored]>([
    ['in the settings', { settings: { frameworks: ['HIPAA'], retention_days: 1 } }],
    [
      'in a policy, with the framework in the settings',
      { settings: { frameworks: ['HIPAA 2013'] }, policy: { days: 1 } },
    ],
    ['in a policy that names the framework', { policy: { days: 1, framework: 'HIPAA 2013' } }],
  ])('%s: new rows are kept for the framework’s minimum', async (_where, stored) => {
    expect(await daysOfNew(await newTenant(stored))).toBe(2190);
  });

  it('never shorten a longer retention', async () => {
    const settings = { frameworks: ['SOC2'], retention_days: 700 };
    expect(await daysOfNew(await newTenant({ settings }))).toBe(700);
    const policy = { days: 800, framework: 'PCI' };
    expect(await daysOfNew(await newTenant({ settings, policy }))).toBe(800);
  });

  it.each<[string, Stored & { readonly inactive?: true }]>([
    ['a policy that names the framework', { policy: { days: 1, framework: 'SOC 2' } }],
    ['a policy beside the settings’ framework', { settings: { frameworks: ['SOC2'] }, policy: { days: 1 } }],
    [
      'a policy that is no longer active',
      { settings: { frameworks: ['SOC2'], retention_days: 1 }, policy: { days: 1 }, inactive: true },
    ],
  ])('and %s: existing rows are corrected', async (_what, { inactive, ...stored }) => {
    const tenant = await newTenant();
    const mapping = await makeMapping(tenant);
    await core`update mapper_requests set expires_at = created_at + interval '1 day' where request_id = ${mapping}`;
    await store(tenant, stored);
    if (inactive)
      await core`update data_retention_policies set is_active = false where tenant_id = ${tenant.tenantId}`;
    expect(await expire()).toMatchObject({ policies_applied: 1 });
    expect(await daysOf(mapping)).toBe(365);
  });
});

describe('a stored policy for the audit trail', () => {
  it('can be read, is applied to nothing, and can be deactivated but not renewed', async () => {
    const { key } = await newTenant({ policy: { type: 'audit_logs', days: 1 } });
    const { operations, findFaults } = await readApiDocument(app);
    const collection = '/api/v1/data-retention-policies';
    const read = async (operation: string, path: string) => {
      const answer = await app.request('GET', path, { key });
      expect(answer.status).toBe(200);
      const documented = operations.find((one) => one.id === operation);
      expect(documented === undefined ? [operation] : findFaults(documented, answer)).toEqual([]);
      return answer.body;
    };
    const page = await read('data-retention-policies-list', collection);
    const one = `${collection}/${page.items[0].policy_id}`;
    expect(await read('data-retention-policies-read', one)).toMatchObject({ data_type: 'audit_logs' });
    expect(await expire()).toMatchObject({ policies_applied: 1 });
    const body = { data_type: 'audit_logs', retention_days: 3650 };
    const renewed = await app.request('PUT', one, { key, body, headers: { 'if-match': '*' } });
    expect([renewed.status, renewed.body.errors[0].pointer]).toEqual([400, '/data_type']);
    expect((await app.request('DELETE', one, { key })).status).toBe(204);
  });
});

describe('settings that cannot be read', () => {
  const unreadable = { settings: { frameworks: 'HIPAA' } };

  it('keep new rows as long as any framework could require, and can be replaced', async () => {
    const tenant = await newTenant(unreadable);
    expect(await daysOfNew(tenant)).toBe(2190);
    const path = '/api/v1/tenant-config';
    const read = await app.request('GET', path, { key: tenant.key });
    expect([read.status, read.body.config_data.frameworks]).toEqual([200, []]);
    const replaced = await app.request('PUT', path, {
      key: tenant.key,
      body: { config_data: {} },
      headers: { 'if-match': '*' },
    });
    expect(replaced.status).toBe(200);
    expect(await daysOfNew(tenant)).toBe(90);
  });

  it('refuse a policy, because the tenant’s frameworks are unknown', async () => {
    const tenant = await newTenant(unreadable);
    const answer = await makePolicy(tenant);
    expect([answer.status, answer.body.code]).toEqual([409, 'CONFLICT']);
    expect(answer.body.detail).toMatch(/settings cannot be read/);
    await store(tenant, { settings: { frameworks: ['HIPAA'] } });
    expect((await makePolicy(tenant)).status).toBe(201);
  });

  it('keep rows that a policy would delete as long as any framework could require, until they can be read', async () => {
    const tenant = await newTenant();
    const mapping = await makeMapping(tenant);
    await store(tenant, { ...unreadable, policy: { days: 1 } });
    expect(await expire()).toMatchObject({ policies_applied: 0 });
    expect(await daysOf(mapping)).toBe(2190);
    await store(tenant, { settings: {} });
    expect(await expire()).toMatchObject({ policies_applied: 1 });
    expect(await daysOf(mapping)).toBe(1);
  });

  it('are not those with a newer build’s field', async () => {
    const tenant = await newTenant({ settings: { frameworks: ['SOC2'], added_later: true } });
    expect(await daysOfNew(tenant)).toBe(365);
    expect((await makePolicy(tenant, 364)).status).toBe(400);
    const { status, body } = await app.request('GET', '/api/v1/tenant-config', { key: tenant.key });
    expect([status, body.config_data.frameworks]).toEqual([200, ['SOC2']]);
    expect(body.config_data).not.toHaveProperty('added_later');
  });
});
