import { randomBytes } from 'node:crypto';
import { newId } from '../../shared/platform/ids/ids.ts';
import {
  operatorVerbsOf,
  type Resource,
  type ResourceScope,
} from '../../shared/platform/resources/resource.ts';
import { modelVersions } from '../../shared/domains/mapping/model-versions.ts';
import { declaredResources } from '../../functions/declared-resources.ts';
import { signIn } from '../harness/members.ts';
import { openPersonsSession } from '../harness/people.ts';
import { rowMaker, templateOf } from '../harness/row-maker.ts';
import { until, type TestApp } from '../harness/app.ts';
import { TENANTS, type Pools, type Tenant } from './requests.ts';

/** Rows of each kind for each tenant. */
const EACH = 4;

/**
 * Makes rows of every kind for each tenant, with the tenant's marker in each. Returns their ids by the collection's path.
 */
export async function seedRows(
  app: TestApp,
  keys: Readonly<Record<Tenant, string>>,
  markers: Readonly<Record<Tenant, string>>,
): Promise<Pools> {
  const pools: Pools = { acme: new Map(), globex: new Map(), platform: new Map() };
  for (const tenant of ['acme', 'globex'] as const) {
    await seedTenant(app, keys[tenant], markers[tenant], pools[tenant]);
    await seedDeclared(app, tenant, keys[tenant], markers[tenant], pools);
    for (const ids of pools[tenant].get('legal-holds') ?? [])
      addRow(pools.platform, 'platform/tenants/{}/legal-holds', [tenant, ...ids]);
    await seedMembers(app, tenant, keys[tenant], pools);
    await seedInvoices(app, tenant, markers[tenant], pools[tenant]);
    await seedPeople(app, tenant, pools[tenant]);
    await seedWebhooks(app, keys[tenant], markers[tenant], pools[tenant]);
  }
  await seedPlatform(app, pools.platform);
  await seedDeclared(app, 'platform', keys.platform, markers.platform, pools);
  const jobs = await app.request('GET', '/api/v1/platform/jobs', { key: keys.platform });
  const names: string[] = jobs.body.items.map(({ job }: { job: string }) => job);
  for (const tenant of TENANTS) {
    const found = await until(
      () => app.request('GET', '/api/v1/audit-logs', { key: keys[tenant] }),
      ({ body }) => body.items.length > 0,
    );
    pools[tenant].set(
      'audit-logs',
      found.body.items.map(({ id }: { id: string }) => [id]),
    );
  }
  pools.platform.set(
    'platform/jobs',
    names.map((name) => [name]),
  );
  return pools;
}

/** Adds a row to a pool. */
export function addRow(
  pool: Map<string, (readonly string[])[]>,
  collection: string,
  ids: readonly string[],
): void {
  pool.set(collection, [...(pool.get(collection) ?? []), ids]);
}

async function seedTenant(app: TestApp, key: string, marker: string, pool: Pools[Tenant]): Promise<void> {
  const post = async (collection: string, body: object): Promise<void> => {
    const answer = await app.request('POST', `/api/v1/${collection}`, { key, body });
    if (answer.status !== 201)
      throw new Error(`${collection} was not seeded: ${answer.status} ${JSON.stringify(answer.body)}`);
    const { request_id: requestId, key_id: keyId, record_id: recordId, job_id: jobId } = answer.body;
    addRow(pool, collection, [requestId ?? keyId]);
    if (recordId !== undefined) addRow(pool, 'records', [recordId]);
    if (jobId !== undefined) addRow(pool, 'jobs', [jobId]);
  };
  const metadata = { marker };
  for (let n = 0; n < EACH; n++) {
    const orchestration = {
      content: marker,
      content_type: 'text',
      policy_bundle: 'default',
      environment: 'dev',
    };
    await post('orchestrations', {
      ...orchestration,
      metadata,
      processing_mode: n % 2 === 0 ? 'async' : 'sync',
    });
    const mapping = { detector: 'regex-pii', source_data: marker, model_version: 'v1', metadata };
    const response = {
      taxonomy: ['PII.Identifier.SSN'],
      scores: { 'PII.Identifier.SSN': 0.9 },
      confidence: 0.9,
      notes: marker,
      processing_time_ms: 1,
      model_used: 'm',
    };
    await post('mappings', n % 2 === 0 ? { ...mapping, response } : mapping);
    const period = { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' };
    await post('analyses', { period, metrics: { marker }, metadata });
    await post('api-keys', { key_name: marker, permission_set: 'reader' });
  }
  const exported = await app.request('POST', '/api/v1/tenant/exports', { key });
  addRow(pool, 'tenant/exports', [exported.body.export_id]);
  const points = [{ metric_name: marker, metric_value: 1, time_period: '2026-01-01T00:00:00Z', metadata }];
  await app.request('POST', '/api/v1/analysis-metrics', { key, body: { metrics: points } });
}

/** Members, invitations and roles of the tenant's own. Operators know the members too. */
async function seedMembers(app: TestApp, tenant: Tenant, key: string, pools: Pools): Promise<void> {
  const pool = pools[tenant];
  for (let n = 0; n < EACH; n++) {
    const { userId } = await signIn(app, tenant, { viewer: null });
    addRow(pool, 'users', [userId]);
    addRow(pool, 'users/{}/roles', [userId, 'viewer']);
    addRow(pools.platform, 'platform/users', [userId]);
    addRow(pools.platform, 'platform/tenants/{}/users', [tenant, userId]);
    const invited = { email: `${n}@${tenant}.example.com`, roles: ['viewer'] };
    const { body } = await app.request('POST', '/api/v1/invitations', { key, body: invited });
    addRow(pool, 'invitations', [body.invitation_id]);
    const role = { role_name: `own_${n}`, permissions: ['records:read'] };
    await app.request('POST', '/api/v1/roles', { key, body: role });
    addRow(pool, 'roles', [role.role_name]);
  }
}

async function seedInvoices(
  app: TestApp,
  tenant: string,
  marker: string,
  pool: Pools[Tenant],
): Promise<void> {
  const line = { amount: 2900, quantity: 1, proration: false, period_start: null, period_end: null };
  for (let n = 0; n < EACH; n++) {
    const id = newId();
    await app.admin
      .billing`insert into billing_invoices (tenant_id, invoice_id, status, currency, subtotal, total,
        amount_due, amount_paid, amount_remaining, line_items, stripe_invoice_id, synced_at, created_at)
      values (${tenant}, ${id}, 'paid', 'USD', 2900, 2900, 2900, 2900, 0,
        ${app.admin.billing.json([{ ...line, description: marker }])}, ${`in_${id}`}, now(), now())`;
    addRow(pool, 'billing/invoices', [id]);
  }
}

async function seedPeople(app: TestApp, tenant: string, pool: Pools[Tenant]): Promise<void> {
  for (let n = 0; n < EACH; n++) {
    const { userId, sessionId } = await openPersonsSession(app, tenant, 'viewer');
    addRow(pool, 'users', [userId]);
    addRow(pool, 'users/{}/sessions', [userId, sessionId]);
    addRow(pool, 'me/sessions', [sessionId]);
  }
}

async function seedWebhooks(app: TestApp, key: string, marker: string, pool: Pools[Tenant]): Promise<void> {
  const body = { url: 'https://receiver.invalid/', event_types: ['payment.failed'], description: marker };
  for (let n = 0; n < EACH; n++) {
    const made = await app.request('POST', '/api/v1/webhook-endpoints', { key, body });
    const id: string = made.body.endpoint_id;
    addRow(pool, 'webhook-endpoints', [id]);
    const sent = await app.request('POST', `/api/v1/webhook-endpoints/${id}/test`, { key });
    addRow(pool, 'webhook-deliveries', [sent.body.delivery_id]);
  }
}

/** The scopes of the resources that a tenant makes rows of. */
const OWN: Readonly<Record<Tenant, readonly ResourceScope[]>> = {
  acme: ['tenant', 'shared'],
  globex: ['tenant', 'shared'],
  platform: ['shared', 'platform'],
};

/**
 * Makes rows of the declared resources: as many as each one's rules allow, up to {@link EACH}. Tenants' rows are also stored with
 * the operators' paths.
 */
export async function seedDeclared(
  app: TestApp,
  tenant: Tenant,
  key: string,
  marker: string,
  pools: Pools,
  resources: readonly Resource[] = declaredResources,
): Promise<void> {
  const maker = rowMaker(app, tenant, key, marker);
  for (const resource of resources.filter(({ scope }) => OWN[tenant].includes(scope))) {
    for (let n = 0; n < EACH; n++) {
      const row = await maker.tryMake(resource);
      if (row === undefined) break;
      addRow(pools[tenant], templateOf(resource), row.pathIds);
      if (operatorVerbsOf(resource).length === 0) continue;
      const ids = [tenant, ...row.pathIds];
      addRow(pools.platform, `platform/tenants/{}/${templateOf(resource)}`, ids);
      // A parent is named by its path even where it has no routes of its own there.
      if (resource.parent !== undefined)
        addRow(
          pools.platform,
          `platform/tenants/{}/${templateOf(resource.parent.resource)}`,
          ids.slice(0, -1),
        );
    }
  }
}

async function seedPlatform(app: TestApp, pool: Pools[Tenant]): Promise<void> {
  const model = rowMaker(app, 'platform', app.keys.operator, 'fuzz');
  const { row } = await model.make(modelVersions);
  addRow(pool, 'models/{}/versions', [String(row['model_name']), String(row['version'])]);
  for (let n = 0; n < EACH; n++) {
    const id = newId();
    await app.admin.core`insert into ops.quarantine (id, queue, identity, reason, body)
      values (${id}, 'audit-events', ${randomBytes(32)}, 'NOT_JSON', ${Buffer.from('no event')})`;
    addRow(pool, 'platform/quarantine', [id]);
    const event = `evt_fuzz_${n}`;
    await app.admin.billing`insert into stripe_events (event_id, type, created, status, received_at)
      values (${event}, 'price.updated', now(), 'ignored', now())`;
    addRow(pool, 'platform/billing/events', [event]);
  }
  // Of their own: whoever is suspended or leaving writes nothing any more.
  for (const tenant of ['idle', 'quiet']) {
    await app.admin.core`insert into tenants (tenant_id, name) values (${tenant}, ${tenant})`;
    addRow(pool, 'platform/tenants', [tenant]);
  }
}
