import { randomBytes } from 'node:crypto';
import { newId } from '../../shared/platform/ids/ids.ts';
import { until, type TestApp } from '../harness/app.ts';
import { TENANTS, type Pools, type Tenant } from './requests.ts';

/** Rows of each kind that each tenant begins with. */
const EACH = 4;

/**
 * Makes rows of every kind for each tenant, each with the tenant's marker in it. Answers their ids by collection, as a
 * path names it.
 */
export async function seedRows(
  app: TestApp,
  keys: Readonly<Record<Tenant, string>>,
  markers: Readonly<Record<Tenant, string>>,
): Promise<Pools> {
  const pools = Object.fromEntries(TENANTS.map((tenant) => [tenant, new Map<string, string[]>()])) as Pools;
  for (const tenant of ['acme', 'globex'] as const) {
    await seedTenant(app, tenant, keys[tenant], markers[tenant], pools[tenant]);
  }
  await seedPlatform(app, keys.platform, pools.platform);
  const jobs = await app.request('GET', '/api/v1/platform/jobs', { key: keys.platform });
  const names: string[] = jobs.body.items.map(({ job }: { job: string }) => job);
  for (const tenant of TENANTS) {
    const found = await until(
      () => app.request('GET', '/api/v1/audit-logs', { key: keys[tenant] }),
      ({ body }) => body.items.length > 0,
    );
    pools[tenant].set(
      'audit-logs',
      found.body.items.map(({ id }: { id: string }) => id),
    );
  }
  pools.platform.set('jobs', names);
  return pools;
}

type Post = (collection: string, body: object) => Promise<Record<string, string | undefined>>;

function poster(app: TestApp, key: string, pool: Map<string, string[]>): Post {
  return async (collection, body) => {
    const answer = await app.request('POST', `/api/v1/${collection}`, { key, body });
    if (answer.status !== 201)
      throw new Error(`${collection} was not seeded: ${answer.status} ${JSON.stringify(answer.body)}`);
    const id =
      answer.body.request_id ??
      answer.body.id ??
      answer.body.policy_id ??
      answer.body.hold_id ??
      answer.body.key_id;
    pool.set(collection, [...(pool.get(collection) ?? []), id]);
    return answer.body;
  };
}

async function seedTenant(
  app: TestApp,
  tenant: Tenant,
  key: string,
  marker: string,
  pool: Map<string, string[]>,
): Promise<void> {
  const post = poster(app, key, pool);
  const metadata = { marker };
  for (let n = 0; n < EACH; n++) {
    const orchestration = {
      content: marker,
      content_type: 'text',
      policy_bundle: 'default',
      environment: 'dev',
    };
    const made = await post('orchestrations', {
      ...orchestration,
      metadata,
      processing_mode: n % 2 === 0 ? 'async' : 'sync',
    });
    if (made['job_id'] !== undefined) pool.set('jobs', [...(pool.get('jobs') ?? []), made['job_id']]);
    const mapping = { detector: 'regex-pii', source_data: marker, model_version: 'v1', metadata };
    const response = {
      taxonomy: ['PII.Identifier.SSN'],
      scores: { 'PII.Identifier.SSN': 0.9 },
      confidence: 0.9,
      notes: marker,
      processing_time_ms: 1,
      model_used: 'm',
    };
    const mapped = await post('mappings', n % 2 === 0 ? { ...mapping, response } : mapping);
    if (mapped['record_id'] !== undefined)
      pool.set('records', [...(pool.get('records') ?? []), mapped['record_id']]);
    const period = { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' };
    await post('analyses', { period, metrics: { marker }, metadata });
    await post('routing-plans', { plan_name: `${marker}-${n}` });
    await post('detector-configs', { detector_name: `${marker}-${n}`, detector_type: 'pii', version: '1' });
    await post('legal-holds', { name: marker, reason: marker, scope: { data_types: ['analyses'] } });
    await post('api-keys', { key_name: marker, permission_set: 'reader' });
  }
  await post('data-retention-policies', { data_type: 'analyses', retention_days: 400, description: marker });
  await post('analysis-templates', {
    template_name: marker,
    template_type: `own_${tenant}`,
    template_content: { explanation: marker, remediation_steps: [], policy_recommendations: [] },
    version: '1',
  });
  const points = [{ metric_name: marker, metric_value: 1, time_period: '2026-01-01T00:00:00Z', metadata }];
  await app.request('POST', '/api/v1/analysis-metrics', { key, body: { metrics: points } });
}

async function seedPlatform(app: TestApp, key: string, pool: Map<string, string[]>): Promise<void> {
  await app.admin
    .billing`insert into billing_plans (plan_id, plan_name, plan_type) values ('free', 'Free', 'free')
    on conflict do nothing`;
  const post = poster(app, key, pool);
  for (let n = 0; n < EACH; n++) {
    await post('taxonomy-labels', { label: `FUZZ.label_${n}`, category: 'FUZZ', taxonomy_version: '1' });
    await post('compliance-mappings', {
      taxonomy_label: 'BIAS.Race',
      compliance_framework: 'SOC2',
      framework_requirement: `CC${n}`,
      frameworks_version: '1',
    });
    await post('model-versions', { model_name: 'fuzz', version: `${n}`, model_path: 'models/fuzz' });
    const id = newId();
    await app.admin.core`insert into ops.quarantine (id, queue, identity, reason, body)
      values (${id}, 'audit-events', ${randomBytes(32)}, 'NOT_JSON', ${Buffer.from('no event')})`;
    pool.set('quarantine', [...(pool.get('quarantine') ?? []), id]);
  }
  pool.set('tenants', ['acme', 'globex']);
}
