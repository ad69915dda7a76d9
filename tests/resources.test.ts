import { describe, expect, it } from 'vitest';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';
import { declaredResources } from '../functions/declared-resources.ts';
import { describeResource } from './harness/describe-resource.ts';

const app = await startTestApp();
const { acme, globex, operator } = app.keys;

const unique = ((): (() => string) => {
  let n = 0;
  return () => `t${(n += 1)}`;
})();

for (const resource of declaredResources) describeResource(app, resource);

describe('a list', () => {
  it('goes page by page over a tenant’s own rows and the platform’s, and can be filtered', async () => {
    const set = unique();
    for (let n = 0; n < 3; n += 1) {
      const body = {
        detector_name: unique(),
        detector_set: set,
        detector_type: 'pii',
        version: '1',
        is_active: n !== 1,
      };
      await app.request('POST', '/api/v1/detector-configs', { key: globex.writer, body });
    }
    const seen: string[] = [];
    let path: string | undefined = `/api/v1/detector-configs?limit=2&sort=created_at`;
    while (path !== undefined) {
      const page: TestAnswer = await app.request('GET', path, { key: globex.reader });
      expect(page.status).toBe(200);
      seen.push(...page.body.items.map((item: { tenant_id: string }) => item.tenant_id));
      path = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual(['platform', 'globex', 'globex', 'globex']);
    const active = await app.request('GET', `/api/v1/detector-configs?detector_set=${set}&is_active=false`, {
      key: globex.reader,
    });
    expect(active.body.items).toHaveLength(1);
    const strange = await app.request('GET', '/api/v1/detector-configs?colour=red', { key: globex.reader });
    expect(strange.status).toBe(400);
  });
});

describe('the platform’s defaults', () => {
  it('are read by every tenant, changed by none of them, and by operators', async () => {
    const list = await app.request('GET', '/api/v1/routing-plans?plan_name=default', { key: globex.reader });
    const [plan] = list.body.items;
    expect(plan.tenant_id).toBe('platform');
    const path = `/api/v1/routing-plans/${plan.id}`;
    const body = { plan_name: 'default', primary_detectors: plan.primary_detectors };
    const headers = { 'if-match': plan.etag };
    const put = await app.request('PUT', path, { key: globex.writer, body, headers });
    const remove = await app.request('DELETE', path, { key: globex.writer });
    expect([put.body.code, remove.body.code]).toEqual(['INSUFFICIENT_RBAC', 'INSUFFICIENT_RBAC']);
    const changed = await app.request('PUT', path, { key: operator, body, headers });
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
  });

  it('cannot be written by a tenant’s owner if the table is the platform’s', async () => {
    const body = { label: 'MINE', category: 'MINE', taxonomy_version: 'x' };
    const answer = await app.request('POST', '/api/v1/taxonomy-labels', { key: acme.owner, body });
    expect([answer.status, answer.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
  });

  it('take effect at once: a label is known to mappings when made, and unknown when deactivated', async () => {
    const label = `FRESH.${unique()}`;
    const map = (): Promise<TestAnswer> =>
      app.request('POST', '/api/v1/mappings', {
        key: acme.writer,
        body: {
          detector: 'd',
          source_data: unique(),
          model_version: 'v1',
          response: {
            taxonomy: [label],
            scores: { [label]: 1 },
            confidence: 1,
            processing_time_ms: 1,
            model_used: 'm',
          },
        },
      });
    expect((await map()).status).toBe(400);
    const body = { label, category: 'FRESH', taxonomy_version: 'x' };
    const made = await app.request('POST', '/api/v1/taxonomy-labels', { key: operator, body });
    expect((await map()).status).toBe(201);
    await app.request('DELETE', made.headers.get('location') ?? '', { key: operator });
    expect((await map()).status).toBe(400);
  });
});

describe('the checks of a resource', () => {
  it.each([
    [
      'routing-plans',
      {
        plan_name: 'w',
        coverage_method: 'weighted_coverage',
        primary_detectors: ['a'],
        weights: { a: 0.5, b: 0.1 },
      },
      ['/weights', '/weights/b'],
    ],
    [
      'analysis-templates',
      {
        template_name: 'bad',
        template_type: 'gap_analysis',
        template_content: { explanation: '{{secret}} and {{period.end}}' },
        version: '1',
      },
      ['/template_content/explanation', '/template_content/explanation'],
    ],
    [
      'data-retention-policies',
      { data_type: 'mappings', retention_days: 365, compliance_framework: 'HIPAA' },
      ['/retention_days'],
    ],
    [
      'legal-holds',
      {
        name: 'n',
        reason: 'r',
        scope: { created_from: '2026-02-01T00:00:00Z', created_to: '2026-01-01T00:00:00Z' },
      },
      ['/scope/created_to'],
    ],
  ])(
    '%s: a body that fits the schema but not the rules is 400, each fault with its place',
    async (name, body, pointers) => {
      const answer = await app.request('POST', `/api/v1/${name}`, { key: acme.owner, body });
      expect([answer.status, answer.body.errors.map((fault: { pointer: string }) => fault.pointer)]).toEqual([
        400,
        pointers,
      ]);
    },
  );

  it('a compliance mapping of an unknown label is 400', async () => {
    const body = {
      taxonomy_label: 'NO.Such',
      compliance_framework: 'SOC2',
      framework_requirement: 'CC1',
      frameworks_version: 'x',
    };
    const answer = await app.request('POST', '/api/v1/compliance-mappings', { key: operator, body });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, '/taxonomy_label']);
  });
});

describe('a write of a resource', () => {
  it('causes an audit entry with the fields’ names but not their contents, and a usage event', async () => {
    const body = { name: unique(), reason: 'a secret matter', scope: {} };
    const made = await app.request('POST', '/api/v1/legal-holds', { key: acme.owner, body });
    const id: string = made.body.hold_id;
    const entries = await until(
      () => app.admin.core`select action, details, actor from audit_logs where resource_id = ${id}`,
      (rows) => rows.length > 0,
    );
    expect(entries[0]).toMatchObject({
      action: 'legal_hold.created',
      details: { fields: ['name', 'reason', 'scope'] },
    });
    expect(JSON.stringify(entries)).not.toContain('secret');
  });

  it('applies a retention policy to later writes at once', async () => {
    const body = { data_type: 'mappings', retention_days: 10 };
    const policy = await app.request('POST', '/api/v1/data-retention-policies', { key: globex.owner, body });
    const record = async (): Promise<number> => {
      const mapping = { detector: 'd', source_data: unique(), model_version: 'v1' };
      const answer = await app.request('POST', '/api/v1/mappings', { key: globex.writer, body: mapping });
      return Math.round(
        (Date.parse(answer.body.expires_at) - Date.parse(answer.body.created_at)) / 86_400_000,
      );
    };
    expect(await record()).toBe(10);
    await app.request('DELETE', policy.headers.get('location') ?? '', { key: globex.owner });
    expect(await record()).toBe(90);
  });
});

describe('metrics and plans, which are in databases of their own', () => {
  it('cause an audit entry and usage like any other write', async () => {
    const body = {
      service_name: 'mapper',
      metric_name: unique(),
      metric_value: 1.5,
      measured_at: '2026-05-01T00:00:00Z',
    };
    const made = await app.request('POST', '/api/v1/performance-metrics', { key: acme.writer, body });
    expect(made.status).toBe(201);
    const plan = { plan_id: unique(), plan_name: 'Tailored', plan_type: 'paid', price_monthly: 1 };
    await app.request('POST', '/api/v1/platform/billing/plans', { key: operator, body: plan });
    for (const [id, tenant, action] of [
      [made.body.id, 'acme', 'performance_metric.created'],
      [plan.plan_id, 'platform', 'billing_plan.created'],
    ]) {
      const entries = await until(
        () => app.admin.core`select tenant_id, action from audit_logs where resource_id = ${id}`,
        (rows) => rows.length > 0,
      );
      expect([...entries]).toEqual([{ tenant_id: tenant, action }]);
    }
  });

  it('show usage events’ sums, by hour and day, to their own tenant', async () => {
    const list = (key: string, query: string): Promise<TestAnswer> =>
      app.request('GET', `/api/v1/usage-metrics?metric_name=api_calls&${query}`, { key });
    const { body } = await until(
      () => list(acme.reader, 'granularity=day'),
      (answer) => answer.body.items.length > 0,
    );
    const [day] = body.items;
    expect(day).toMatchObject({ metric_name: 'api_calls', granularity: 'day', metric_unit: 'count' });
    expect([typeof day.metric_value, day.metric_value > 0]).toEqual(['number', true]);
    expect(day.period_start).toMatch(/T00:00:00\.000Z$/);
    const read = await app.request('GET', `/api/v1/usage-metrics/${day.id}`, { key: acme.reader });
    expect([read.status, read.body.id]).toEqual([200, day.id]);
    const other = await app.request('GET', `/api/v1/usage-metrics/${day.id}`, { key: globex.reader });
    expect(other.status).toBe(404);
    const write = await app.request('POST', '/api/v1/usage-metrics', { key: operator, body: {} });
    expect(write.status).toBe(405);
  });

  it('have the plans that come with the database, with their prices in minor units', async () => {
    const read = await app.request('GET', '/api/v1/platform/billing/plans/starter', { key: operator });
    expect(read.body).toMatchObject({ plan_id: 'starter', price_monthly: 2900, currency: 'USD' });
    const list = await app.request('GET', '/api/v1/platform/billing/plans?plan_type=enterprise', {
      key: operator,
    });
    expect(list.body.items.map((plan: { plan_id: string }) => plan.plan_id)).toContain('white_glove_basic');
  });
});

describe('a legal hold', () => {
  it('is released once, and shows who released it', async () => {
    const body = {
      name: unique(),
      reason: 'r',
      scope: { data_types: ['mappings'] },
    };
    const made = await app.request('POST', '/api/v1/legal-holds', { key: acme.owner, body });
    expect(made.body).toMatchObject({ released_at: null, placed_by: expect.stringMatching(/^key:/) });
    const path = `${made.headers.get('location') ?? ''}/release`;
    const other = await app.request('POST', path, { key: globex.owner });
    expect(other.status).toBe(404);
    const released = await app.request('POST', path, { key: acme.owner });
    expect([released.status, released.headers.get('etag')]).toEqual([200, '"2"']);
    expect(released.body.released_by).toMatch(/^key:/);
    const again = await app.request('POST', path, { key: acme.owner });
    expect([again.status, again.body]).toEqual([200, released.body]);
  });

  it('can be placed although the allowance is spent', async () => {
    await app.admin
      .billing`insert into free_tier_usage (tenant_id, usage_type, usage_limit, anchor_date, last_reset_at, next_reset_at)
      select 'globex', u, 0, current_date, now(), now() + interval '1 month' from unnest(array['api_calls', 'storage_gb']) u
      on conflict (tenant_id, user_id, usage_type, reset_period) do update set usage_limit = 0`;
    const plan = await app.request('POST', '/api/v1/routing-plans', {
      key: globex.writer,
      body: { plan_name: unique() },
    });
    const body = { name: unique(), reason: 'r', scope: {} };
    const hold = await app.request('POST', '/api/v1/legal-holds', { key: globex.owner, body });
    await app.admin.billing`update free_tier_usage set usage_limit = 1000 where tenant_id = 'globex'`;
    expect([plan.status, plan.body.code, hold.status]).toEqual([402, 'QUOTA_EXCEEDED', 201]);
  });
});

describe('a model', () => {
  const make = async (name: string, version: string): Promise<string> => {
    const body = { model_name: name, version, model_path: `models/${name}/${version}` };
    const made = await app.request('POST', '/api/v1/model-versions', { key: operator, body });
    return made.body.id as string;
  };

  it('has one active version, also if several are activated at once', async () => {
    const name = unique();
    const ids = await Promise.all(['1', '2', '3'].map((version) => make(name, version)));
    const answers = await Promise.all(
      ids.map((id) => app.request('POST', `/api/v1/model-versions/${id}/activate`, { key: operator })),
    );
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    const active = await app.request('GET', `/api/v1/model-versions?model_name=${name}&is_active=true`, {
      key: acme.reader,
    });
    expect(active.body.items).toHaveLength(1);
    expect(active.body.items[0].activated_at).not.toBeNull();
    const tenant = await app.request('POST', `/api/v1/model-versions/${ids[0] ?? ''}/activate`, {
      key: acme.owner,
    });
    expect(tenant.status).toBe(403);
  });

  it('is found by name through Redis, and a change is seen at once', async () => {
    const name = unique();
    const id = await make(name, '1.0');
    const path = `/api/v1/models/${name}/versions/1.0`;
    const first = await app.request('GET', path, { key: acme.reader });
    expect(first.body).toMatchObject({ id, is_active: false });
    const cached = await until(
      () => app.services.cache.attempt((redis) => redis.exists(`config:model:${name}:1.0`)),
      (count) => count !== undefined,
    );
    expect(cached).toBe(1);
    await app.request('POST', `/api/v1/model-versions/${id}/activate`, { key: operator });
    const second = await app.request('GET', path, { key: acme.reader });
    expect(second.body.is_active).toBe(true);
    const absent = await app.request('GET', `/api/v1/models/${name}/versions/9`, { key: acme.reader });
    expect(absent.status).toBe(404);
  });
});

describe('the tenant’s settings', () => {
  const path = '/api/v1/tenant-config';

  it('are defaults at first, replaced as a whole, and effective at once', async () => {
    const read = await app.request('GET', path, { key: acme.reader });
    expect([read.status, read.body.tenant_id, read.body.config_data.retention_days]).toEqual([
      200,
      'acme',
      null,
    ]);
    const etag = read.headers.get('etag') ?? '';
    const body = { config_data: { frameworks: ['SOC2'], retention_days: 400 } };
    const blind = await app.request('PUT', path, { key: acme.owner, body });
    expect(blind.status).toBe(400);
    const writer = await app.request('PUT', path, { key: acme.writer, body, headers: { 'if-match': etag } });
    expect(writer.status).toBe(403);
    const put = await app.request('PUT', path, { key: acme.owner, body, headers: { 'if-match': etag } });
    expect([put.status, put.body.config_data]).toEqual([
      200,
      { ...read.body.config_data, frameworks: ['SOC2'], retention_days: 400 },
    ]);
    const mapping = { detector: 'd', source_data: unique(), model_version: 'v1' };
    const recorded = await app.request('POST', '/api/v1/mappings', { key: acme.writer, body: mapping });
    const days = (Date.parse(recorded.body.expires_at) - Date.parse(recorded.body.created_at)) / 86_400_000;
    expect(Math.round(days)).toBe(400);
    const unchanged = await app.request('GET', path, {
      key: acme.reader,
      headers: { 'if-none-match': put.headers.get('etag') ?? '' },
    });
    expect(unchanged.status).toBe(304);
    const other = await app.request('GET', path, { key: globex.reader });
    expect(other.body.config_data.frameworks).toEqual([]);
  });

  it('refuse a callback of another shape, and ignore a stored one', async () => {
    const callback = { url: 'https://example.com/hook', events: ['mapping.completed'] };
    const { headers } = await app.request('GET', path, { key: globex.owner });
    const sent = { key: globex.owner, headers: { 'if-match': headers.get('etag') ?? '' } };
    const refused = await app.request('PUT', path, { ...sent, body: { config_data: { callback } } });
    expect([refused.status, refused.body.errors]).toEqual([
      400,
      [{ pointer: '/config_data/callback/events', detail: 'is not a known field' }],
    ]);
    const stored = app.admin.core.json({ callback, mapping_confidence_cutoff: 0.9 });
    await app.admin.core`insert into tenant_configs (tenant_id, config_data) values ('globex', ${stored})
      on conflict (tenant_id) do update set config_data = excluded.config_data`;
    const read = await app.request('GET', path, { key: globex.owner });
    expect([read.status, read.body.config_data]).toMatchObject([
      200,
      { callback: null, mapping_confidence_cutoff: 0.9 },
    ]);
  });

  it('are changed by one of two requests at once; the other gets 412', async () => {
    const { headers } = await app.request('GET', path, { key: globex.owner });
    const sent = { key: globex.owner, headers: { 'if-match': headers.get('etag') ?? '' } };
    const answers = await Promise.all(
      [30, 60].map((days) =>
        app.request('PUT', path, { ...sent, body: { config_data: { retention_days: days } } }),
      ),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 412]);
  });
});
