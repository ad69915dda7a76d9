import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;

const request = {
  period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
  metrics: { coverage: { rate: 0.75 }, incidents: 3 },
  evidence_refs: ['0195d6a0-0000-7000-8000-000000000001', 'ticket 17'],
};
const response = {
  explanation: 'Prompt injection went unseen on two days.',
  remediation_steps: ['Turn the detector on.'],
  policy_recommendations: [{ policy: 'require-injection-check' }],
  confidence: 0.9,
  processing_time_ms: 1200,
  model_used: 'analysis-7b',
};
const unsure = { ...response, confidence: 0.59 };

// A write's events go through the outbox, and the publisher deletes them at once. So a trigger copies them.
await app.admin.core.unsafe(`
  create table caused (at serial, events jsonb not null);
  create function copy_caused() returns trigger language plpgsql security definer as
    'begin insert into public.caused (events) values (new.events); return null; end';
  create trigger copy_caused after insert on ops.outbox for each row execute function copy_caused()`);

/** The usage and audit events of an analysis's writes, in the order of writes, audit first. */
async function eventsOf(requestId: string): Promise<string[]> {
  const rows = await app.admin.core`
    select events from caused where events @> ${app.admin.core.json([{ data: { resource_id: requestId } }])} order by at`;
  return rows.flatMap((row) => {
    const data = (row['events'] as { data: Record<string, unknown> }[]).map((event) => event.data);
    return [
      ...data.filter((d) => d['action'] !== undefined).map((d) => String(d['action'])),
      ...data
        .filter((d) => d['usage_type'] !== undefined)
        .map((d) => [d['usage_type'], d['usage_amount']].join(' ')),
    ];
  });
}

function pointersOf(answer: TestAnswer): string[] {
  return (answer.body.errors ?? []).map((fault: { pointer: string }) => fault.pointer).sort();
}

/** Every row of a list, page by page. */
async function walk(path: string): Promise<{ items: Record<string, unknown>[]; pages: number }> {
  const items: Record<string, unknown>[] = [];
  let next: string | undefined = `/api/v1/${path}`;
  let pages = 0;
  while (next !== undefined) {
    const page = await app.request('GET', next, { key: acme.reader });
    expect(page.status).toBe(200);
    items.push(...page.body.items);
    pages++;
    next = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
  }
  return { items, pages };
}

const post = (path: string, body?: unknown, key = acme.writer, headers = {}): Promise<TestAnswer> =>
  app.request('POST', `/api/v1/${path}`, { key, body, headers });
const get = (path: string, key = acme.reader): Promise<TestAnswer> =>
  app.request('GET', `/api/v1/${path}`, { key });
const put = (id: string, body: unknown, key = acme.writer): Promise<TestAnswer> =>
  app.request('PUT', `/api/v1/analyses/${id}/response`, { key, body });

async function record(body: object = request, key = acme.writer): Promise<string> {
  const answer = await post('analyses', body, key);
  expect(answer.status).toBe(201);
  return String(answer.body.request_id);
}

/** A template whose text is its name. */
async function addTemplate(
  tenant: string,
  name: string,
  type: string,
  more: { active?: boolean; version?: string; content?: object; createdAt?: string } = {},
): Promise<string> {
  const id = newId();
  const content = more.content ?? { explanation: `${tenant}/${name}/${more.version ?? '1'}` };
  await app.admin.core`
    insert into analysis_templates (tenant_id, id, template_name, template_type, template_content, template_version,
      is_active, created_at)
    values (${tenant}, ${id}, ${name}, ${type}, ${app.admin.core.json(content as never)}, ${more.version ?? '1'},
      ${more.active ?? true}, ${more.createdAt ?? new Date().toISOString()})`;
  return id;
}

describe('recording', () => {
  it('records an analysis with its response: completed, with the response as it was sent', async () => {
    const answer = await post('analyses', {
      ...request,
      priority: 'high',
      metadata: { team: 'red' },
      response,
    });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      status: 'completed',
      analysis_type: 'gap_analysis',
      template_fallback_used: false,
      template_id: null,
    });
    expect(answer.headers.get('location')).toBe(`/api/v1/analyses/${answer.body.request_id}`);
    const read = await get(`analyses/${answer.body.request_id}`);
    expect(read.body).toMatchObject({
      ...request,
      priority: 'high',
      metadata: { team: 'red' },
      template_fallback_used: false,
      response: { ...response, analysis_metadata: {}, version_info: {}, submitted_response: null },
    });
  });

  it('records it in two steps: pending, then completed once; the same response again changes nothing', async () => {
    const id = await record();
    expect((await get(`analyses/${id}`)).body).toMatchObject({ status: 'pending', response: null });
    const first = await put(id, response);
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({ request_id: id, status: 'completed', response });
    const again = await put(id, Object.fromEntries(Object.entries(response).reverse()));
    expect([again.status, again.body]).toEqual([200, first.body]);
    const other = await put(id, { ...response, confidence: 0.91 });
    expect([other.status, other.body.code]).toEqual([409, 'CONFLICT']);
    expect((await get(`analyses/${id}`)).body).toEqual(first.body);
  });

  it('completes once if several responses come at once', async () => {
    const id = await record();
    const equal = await Promise.all(Array.from({ length: 6 }, () => put(id, response)));
    expect(equal.map(({ status }) => status)).toEqual(Array(6).fill(200));
    const contested = await record();
    const statuses = await Promise.all(
      [0.7, 0.8, 0.9].map(async (confidence) => (await put(contested, { ...response, confidence })).status),
    );
    expect(statuses.sort()).toEqual([200, 409, 409]);
  });

  it('lists by type and status, and shows each analysis once', async () => {
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push(await record({ ...request, analysis_type: 'listed' }));
    await put(String(ids[0]), response);
    const { items } = await walk('analyses?analysis_type=listed&status=pending&limit=3');
    expect(items.map((item) => item['request_id'])).toEqual(ids.slice(1).reverse());
  });

  it('cannot be read, completed or replaced by a template by a second tenant', async () => {
    const id = await record();
    const answers = await Promise.all([
      get(`analyses/${id}`, globex.reader),
      put(id, response, globex.writer),
      post(`analyses/${id}/fallback`, {}, globex.writer),
    ]);
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(Array(3).fill([404, 'NOT_FOUND']));
    expect((await get('analyses?limit=500', globex.reader)).body.items).not.toContainEqual(
      expect.objectContaining({ request_id: id }),
    );
    expect((await get(`analyses/${id}`)).body.status).toBe('pending');
  });

  it('cannot be read or completed after it has expired', async () => {
    const id = await record();
    await app.admin
      .core`update analysis_requests set expires_at = now() - interval '1 s' where request_id = ${id}`;
    const answers = await Promise.all([
      get(`analyses/${id}`),
      put(id, response),
      post(`analyses/${id}/fallback`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
  });

  it('needs the permission for each', async () => {
    const id = await record();
    const answers = await Promise.all([
      post('analyses', request, acme.reader),
      put(id, response, acme.reader),
      post(`analyses/${id}/fallback`, {}, acme.reader),
      post('analysis-metrics', { metrics: [point] }, acme.reader),
      get('analyses', await app.makeKey('acme', ['metrics:read'])),
      get('analysis-metrics', await app.makeKey('acme', ['analyses:read'])),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(403));
  });

  it('reports every fault at once, each where it is', async () => {
    const answer = await post('analyses', {
      period: { start: '2026-02-01T00:00:00Z', end: '2026-01-01T00:00:00Z' },
      metrics: 'many',
      evidence_refs: ['', 7],
      analysis_type: 'Gap Analysis',
      priority: 'urgent',
      colour: 'red',
      response: { ...response, confidence: 1.1, processing_time_ms: -1, mood: 'good' },
    });
    expect([answer.status, answer.body.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(pointersOf(answer)).toEqual([
      '/analysis_type',
      '/colour',
      '/evidence_refs/0',
      '/evidence_refs/1',
      '/metrics',
      '/period/end',
      '/priority',
      '/response/confidence',
      '/response/mood',
      '/response/processing_time_ms',
    ]);
    const period = { start: 'now', end: '2026-02-30T00:00:00Z' };
    expect(pointersOf(await post('analyses', { ...request, period }))).toEqual([
      '/period/end',
      '/period/start',
    ]);
    const metrics = { text: 'x'.repeat(130 * 1024) };
    expect(pointersOf(await post('analyses', { ...request, metrics }))).toEqual(['/metrics']);
  });

  it('answers a repeated idempotency key with the first answer, and refuses it with another body', async () => {
    const headers = { 'idempotency-key': 'analysis-1' };
    const [first, again, other] = [
      await post('analyses', { ...request, response: unsure }, acme.writer, headers),
      await post('analyses', { response: unsure, ...request }, acme.writer, headers),
      await post('analyses', request, acme.writer, headers),
    ];
    expect([first.status, again.status, other.status]).toEqual([201, 201, 422]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
  });

  it('takes a batch in which a bad item does not affect the others', async () => {
    const items = [
      { ...request, idempotency_key: 'ab-1', response },
      { ...request, idempotency_key: 'ab-1', response },
      { ...request, response: unsure },
      { ...request, analysis_type: 'no such', extra: 1 },
      { ...request, tenant_id: 'globex' },
      request,
    ];
    const answer = await post('analyses/batch', { items });
    expect(answer.status).toBe(207);
    const outcomes: { status: number; outcome: string; request_id?: string }[] = answer.body.items;
    expect(outcomes.map(({ status, outcome }) => [status, outcome])).toEqual([
      [201, 'created'],
      [200, 'duplicate'],
      [201, 'created'],
      [400, 'invalid'],
      [403, 'refused'],
      [201, 'created'],
    ]);
    expect(outcomes[1]?.request_id).toBe(outcomes[0]?.request_id);
    const states = await Promise.all(
      [0, 2, 5].map(async (n) => (await get(`analyses/${outcomes[n]?.request_id}`)).body),
    );
    expect(states.map((state) => [state.status, state.template_fallback_used])).toEqual([
      ['completed', false],
      ['completed', true],
      ['pending', null],
    ]);
  });
});

describe('a response less sure than the cutoff', () => {
  it.each(['whole', 'in parts'])(
    'is replaced by the rendered template and kept beside it: %s',
    async (how) => {
      const id = await record(how === 'whole' ? { ...request, response: unsure } : request);
      if (how === 'in parts') expect((await put(id, unsure)).body.template_fallback_used).toBe(true);
      const { body } = await get(`analyses/${id}`);
      expect(body).toMatchObject({ status: 'completed', template_fallback_used: true });
      expect(body.response).toMatchObject({
        explanation:
          'Between 2026-01-01T00:00:00Z and 2026-02-01T00:00:00Z nothing surer than this template is known.',
        remediation_steps: ['Review 2 pieces of evidence.'],
        confidence: 0.59,
        model_used: 'template:default',
        template_fallback_used: true,
        template_id: expect.any(String),
        submitted_response: unsure,
      });
      const again = await put(id, unsure);
      expect([again.status, again.body]).toEqual([200, body]);
      expect((await put(id, response)).status).toBe(409);
    },
  );

  it('is kept at the cutoff itself, and the cutoff is the tenant’s', async () => {
    const at = await record({ ...request, response: { ...response, confidence: 0.6 } });
    expect((await get(`analyses/${at}`)).body.template_fallback_used).toBe(false);
    await app.admin.core`
      insert into tenants (tenant_id, name, plan_id, has_quota) values ('strict', 'Strict', 'professional', false)`;
    await app.admin.core`
      insert into tenant_configs (tenant_id, config_data)
      values ('strict', ${app.admin.core.json({ confidence_cutoff: 0.95 })})`;
    const key = await app.makeKey('strict', ['analyses:write']);
    expect((await post('analyses', { ...request, response }, key)).body.template_fallback_used).toBe(true);
  });

  it('is kept if there is no template at all', async () => {
    await app.admin.core`update analysis_templates set is_active = false where template_name = 'default'`;
    try {
      const id = await record({ ...request, response: unsure });
      expect((await get(`analyses/${id}`)).body).toMatchObject({
        template_fallback_used: false,
        response: { ...unsure, submitted_response: null },
      });
      const pending = await record();
      const refused = await post(`analyses/${pending}/fallback`, {});
      expect([refused.status, refused.body.code]).toEqual([409, 'CONFLICT']);
    } finally {
      await app.admin.core`update analysis_templates set is_active = true where template_name = 'default'`;
    }
  });
});

describe('the fallback route', () => {
  it.each([undefined, {}, { reason: 'the model is down' }])(
    'completes a pending analysis: body %j',
    async (body) => {
      const id = await record();
      const answer = await post(`analyses/${id}/fallback`, body);
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({
        request_id: id,
        status: 'completed',
        template_fallback_used: true,
        response: {
          remediation_steps: ['Review 2 pieces of evidence.'],
          confidence: 0,
          analysis_metadata: { fallback: { cause: 'requested', ...body } },
          submitted_response: null,
        },
      });
      const again = await post(`analyses/${id}/fallback`, body);
      expect([again.status, again.body]).toEqual([200, answer.body]);
      expect((await put(id, response)).status).toBe(409);
    },
  );

  it('is refused for an analysis that was completed with a response', async () => {
    const id = await record({ ...request, response });
    const answer = await post(`analyses/${id}/fallback`, {});
    expect([answer.status, answer.body.code]).toEqual([409, 'CONFLICT']);
  });

  it('refuses an unknown field, another media type and an invalid id', async () => {
    const id = await record();
    expect(pointersOf(await post(`analyses/${id}/fallback`, { why: 'x' }))).toEqual(['/why']);
    const text = await app.request('POST', `/api/v1/analyses/${id}/fallback`, {
      key: acme.writer,
      raw: 'because',
      headers: { 'content-type': 'text/plain' },
    });
    expect(text.status).toBe(415);
    expect((await post('analyses/nonsense/fallback', {})).status).toBe(400);
  });

  it('answers a repeated idempotency key with the first answer, and refuses it with another body', async () => {
    const id = await record();
    const headers = { 'idempotency-key': 'fallback-1' };
    const send = (body: object) => post(`analyses/${id}/fallback`, body, acme.writer, headers);
    const [first, again, other] = [await send({}), await send({}), await send({ reason: 'other' })];
    expect([first.status, again.status, other.status]).toEqual([200, 200, 422]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
  });
});

describe('the template that replaces a response', () => {
  const explanation = async (type: string): Promise<string> => {
    const id = await record({ ...request, analysis_type: type });
    const { body } = await post(`analyses/${id}/fallback`, {});
    return String(body.response.explanation);
  };

  it('is the tenant’s own of the type, then the platform’s, then the default: own before platform’s', async () => {
    expect(await explanation('trend')).toMatch(/^Between/);
    await addTemplate('globex', 'theirs', 'trend');
    const ownDefault = await addTemplate('acme', 'default', 'anything');
    expect(await explanation('trend')).toBe('acme/default/1');
    await addTemplate('platform', 'trends', 'trend');
    expect(await explanation('trend')).toBe('platform/trends/1');
    await addTemplate('acme', 'ours', 'trend', { version: '1', createdAt: '2026-01-02T00:00:00Z' });
    await addTemplate('acme', 'ours', 'trend', { version: '0', createdAt: '2026-01-01T00:00:00Z' });
    await addTemplate('acme', 'draft', 'trend', { active: false });
    expect(await explanation('trend')).toBe('acme/ours/1');
    await app.admin.core`delete from analysis_templates where id = ${ownDefault}`;
  });

  it('brings its own confidence, and reads metrics by their path', async () => {
    await addTemplate('acme', 'figures', 'figures', {
      content: {
        explanation: '{{metrics.coverage.rate}} of {{tenant_id}}, {{metrics.none}}',
        remediation_steps: [{ title: '{{analysis_type}}' }],
        confidence: 0.5,
      },
    });
    const answer = await post('analyses', { ...request, analysis_type: 'figures', response: unsure });
    const { body } = await get(`analyses/${answer.body.request_id}`);
    expect(body.response).toMatchObject({
      explanation: '0.75 of acme, n/a',
      remediation_steps: [{ title: 'figures' }],
      confidence: 0.5,
    });
  });

  it('is ignored if its content is invalid', async () => {
    await addTemplate('acme', 'broken', 'broken', { content: { text: 1 } });
    const id = await record({ ...request, analysis_type: 'broken', response: unsure });
    expect((await get(`analyses/${id}`)).body.template_fallback_used).toBe(false);
  });
});

describe('the events of a write', () => {
  it('are its usage and audit events, without content', async () => {
    const whole = await record({ ...request, response: unsure });
    const parts = await record();
    await put(parts, response);
    const rendered = await record();
    await post(`analyses/${rendered}/fallback`, { reason: 'secret reason' });
    expect(await eventsOf(whole)).toEqual([
      'analysis.created',
      'analysis.fallback_rendered',
      'api_calls 1',
      'analysis_runs 1',
    ]);
    expect(await eventsOf(parts)).toEqual([
      'analysis.created',
      'api_calls 1',
      'analysis_runs 1',
      'analysis.completed',
      'api_calls 1',
    ]);
    expect(await eventsOf(rendered)).toEqual([
      'analysis.created',
      'api_calls 1',
      'analysis_runs 1',
      'analysis.fallback_rendered',
      'api_calls 1',
    ]);
    const [all] = await app.admin.core`select string_agg(events::text, '') as text from caused`;
    expect(String(all?.['text'])).not.toMatch(/secret reason|Prompt injection|ticket 17/);
  });
});

const point = { metric_name: 'coverage', metric_value: 0.5, time_period: '2026-03-01T00:00:00Z' };

describe('metrics', () => {
  const write = (metrics: readonly object[], key = acme.writer, headers = {}): Promise<TestAnswer> =>
    post('analysis-metrics', { metrics }, key, headers);
  const series = [
    ['2026-01-30T23:30:00Z', 1],
    ['2026-01-31T00:00:00+01:00', 2],
    ['2026-02-01T00:00:00Z', 3],
    ['2026-02-01T00:59:59.999999Z', 5],
    ['2026-02-01T01:00:00Z', 7],
    ['2026-02-09T12:00:00Z', -1],
  ].map(([time_period, metric_value]) => ({ metric_name: 'series', metric_value, time_period }));

  beforeAll(async () => {
    expect((await write(series)).status).toBe(201);
    expect(
      (await write([{ ...point, metric_name: 'series', metric_value: 1000 }], globex.writer)).status,
    ).toBe(201);
  });

  it('writes many at once and reads each as it was given', async () => {
    const full = {
      ...point,
      metric_name: 'written',
      metric_unit: 'share',
      evidence_refs: ['ticket 17'],
      metadata: { source: 'nightly' },
    };
    const answer = await write([
      full,
      { ...point, metric_name: 'written', time_period: '2026-02-01T00:00:00Z' },
    ]);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ count: 2 });
    const { body } = await get('analysis-metrics?metric_name=written');
    expect(body.items).toMatchObject([
      { metric_unit: null, evidence_refs: [], metadata: {}, id: answer.body.ids[1] },
      { ...full, time_period: '2026-03-01T00:00:00.000Z', id: answer.body.ids[0] },
    ]);
  });

  it.each([
    ['time_period', [2, 1, 3, 5, 7, -1]],
    ['-time_period', [-1, 7, 5, 3, 1, 2]],
  ])('pages through the points in the order of %s, without loss or repetition', async (sort, expected) => {
    const { items, pages } = await walk(`analysis-metrics?metric_name=series&sort=${sort}&limit=2`);
    expect(items.map((item) => item['metric_value'])).toEqual(expected);
    expect(pages).toBe(3);
  });

  it('pages through points of the same instant without loss or repetition', async () => {
    await write(Array.from({ length: 500 }, (_, n) => ({ ...point, metric_name: 'ties', metric_value: n })));
    const { items } = await walk('analysis-metrics?metric_name=ties&limit=150');
    expect(new Set(items.map((item) => item['metric_value'])).size).toBe(500);
    expect(items).toHaveLength(500);
  });

  it('reads a period from its first instant up to, but not including, its end', async () => {
    const { items } = await walk(
      'analysis-metrics?metric_name=series&from=2026-02-01T00:00:00Z&to=2026-02-01T01:00:00Z',
    );
    expect(items.map((item) => item['metric_value'])).toEqual([3, 5]);
  });

  it.each([
    ['hour', ['01-30T23 2 3', '02-01T00 2 8', '02-01T01 1 7', '02-09T12 1 -1']],
    ['day', ['01-30T00 2 3', '02-01T00 3 15', '02-09T00 1 -1']],
    ['week', ['01-26T00 5 18', '02-09T00 1 -1']],
    ['month', ['01-01T00 2 3', '02-01T00 4 14']],
  ])('sum up a series by UTC %ss, with any page size and direction', async (bucket, expected) => {
    for (const limit of [1, 2, 500]) {
      for (const sort of ['time_period', '-time_period']) {
        const { items } = await walk(
          `analysis-metrics?metric_name=series&bucket=${bucket}&sort=${sort}&limit=${limit}`,
        );
        const told = items.map((item) =>
          [String(item['bucket_start']).slice(5, 13), item['count'], item['sum']].join(' '),
        );
        expect(sort === 'time_period' ? told : told.reverse()).toEqual(expected);
      }
    }
  });

  it('give a bucket’s mean, minimum and maximum, and the requested one as its value', async () => {
    const { body } = await get(
      'analysis-metrics?metric_name=series&bucket=day&from=2026-02-01T00:00:00Z&to=2026-02-02T00:00:00Z&aggregate=max',
    );
    expect(body.items).toEqual([
      { bucket_start: '2026-02-01T00:00:00.000Z', count: 3, sum: 15, avg: 5, min: 3, max: 7, value: 7 },
    ]);
  });

  it('show a tenant only its own points, and no expired ones', async () => {
    const { body } = await get('analysis-metrics', globex.reader);
    expect(body.items.map((item: { metric_value: number }) => item.metric_value)).toEqual([1000]);
    await write([{ ...point, metric_name: 'gone' }]);
    await app.admin.core`update analysis_metrics set expires_at = now() where metric_name = 'gone'`;
    expect((await get('analysis-metrics?metric_name=gone')).body.items).toEqual([]);
    expect((await get('analysis-metrics?metric_name=gone&bucket=day')).body.items).toEqual([]);
  });

  it('writes once under an idempotency key, and refuses it with other points', async () => {
    const headers = { 'idempotency-key': 'metrics-1' };
    const once = [{ ...point, metric_name: 'once' }];
    const first = await write(once, acme.writer, headers);
    const again = await write(once, acme.writer, headers);
    expect([again.status, again.headers.get('idempotency-replayed'), again.body]).toEqual([
      201,
      'true',
      first.body,
    ]);
    expect((await write([point], acme.writer, headers)).status).toBe(422);
    expect((await get('analysis-metrics?metric_name=once')).body.items).toHaveLength(1);
  });

  it('writes all or none, and reports every fault at once', async () => {
    const answer = await write([
      { ...point, metric_name: 'spoilt' },
      { metric_name: '', metric_value: 'high', time_period: 'yesterday', extra: 1 },
      { ...point, metric_value: 1e200, time_period: '0000-01-01T00:00:00Z' },
    ]);
    expect(pointersOf(answer)).toEqual([
      '/metrics/1/extra',
      '/metrics/1/metric_name',
      '/metrics/1/metric_value',
      '/metrics/1/time_period',
      '/metrics/2/metric_value',
      '/metrics/2/time_period',
    ]);
    expect((await get('analysis-metrics?metric_name=spoilt')).body.items).toEqual([]);
    expect(pointersOf(await write([]))).toEqual(['/metrics']);
    expect(pointersOf(await write(Array.from({ length: 501 }, () => point)))).toEqual(['/metrics']);
  });

  it.each([
    ['bucket=day', ['query/metric_name']],
    ['metric_name=series&aggregate=sum', ['query/aggregate']],
    ['metric_name=series&bucket=year', ['query/bucket']],
    ['from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', ['query/to']],
    ['from=soon&limit=0&colour=red', ['query/colour', 'query/from', 'query/limit']],
    ['cursor=abc', ['query/cursor']],
  ])('refuses the query %s', async (query, pointers) => {
    const answer = await get(`analysis-metrics?${query}`);
    expect([answer.status, pointersOf(answer)]).toEqual([400, pointers]);
  });
});
