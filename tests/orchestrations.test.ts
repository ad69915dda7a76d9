import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;

const base = '/api/v1/orchestrations';
const request = {
  content: 'Call me: 555-0100',
  content_type: 'text',
  policy_bundle: 'default',
  environment: 'prod',
};
const success = (detector: string, output: unknown = { found: 1 }) => ({
  detector,
  status: 'success',
  output,
  processing_time_ms: 12,
  confidence: 0.9,
});
const failure = (detector: string) => ({
  detector,
  status: 'timeout',
  error: 'no answer in 5 s',
  processing_time_ms: 5000,
});
const both = [success('regex-pii'), success('llama-guard')];
const response = { total_processing_time_ms: 40, aggregated_payload: { score: 0.4 } };

const post = (body: unknown, key = acme.writer, headers: Record<string, string> = {}) =>
  app.request('POST', base, { key, body, headers });
const addTo = (id: string, results: unknown, key = acme.writer, headers: Record<string, string> = {}) =>
  app.request('POST', `${base}/${id}/detector-results`, { key, body: { results }, headers });
const respond = (id: string, body: unknown = response, key = acme.writer) =>
  app.request('PUT', `${base}/${id}/response`, { key, body });
const read = (id: string, key = acme.reader) => app.request('GET', `${base}/${id}`, { key });
const cancel = (jobId: string, key = acme.writer) =>
  app.request('POST', `/api/v1/jobs/${jobId}/cancel`, { key });

/** A request's actions in the audit trail, sorted by name: events of one moment have no order. */
async function auditActions(requestId: string): Promise<string[]> {
  const rows = await app.admin
    .core`select action from audit_logs where resource_id = ${requestId} order by action`;
  return rows.map((row) => String(row['action']));
}

async function addPlan(tenantId: string, columns: Readonly<Record<string, unknown>>): Promise<string> {
  const row = { tenant_id: tenantId, id: newId(), plan_name: `plan-${newId()}`, ...columns };
  await app.admin.core`insert into routing_plans ${app.admin.core(row as never)}`;
  return row.plan_name;
}

const jsonb = (value: unknown) => app.admin.core.json(value as never);

describe('an orchestration recorded in one call', () => {
  it('is completed in one call, with its coverage, and sealed', async () => {
    const answer = await post({ ...request, detector_results: both, response });
    expect(answer.status).toBe(201);
    const id = answer.body.request_id;
    expect(answer.headers.get('location')).toBe(`${base}/${id}`);
    expect(answer.body).toMatchObject({
      status: 'completed',
      coverage_achieved: 1,
      coverage_method: 'required_set',
      coverage_threshold: 0.8,
      fallback_used: false,
      detectors_attempted: 2,
      detectors_succeeded: 2,
    });
    expect(answer.body).not.toHaveProperty('job_id');
    const [row] = await app.admin
      .core`select content, status from orchestration_requests where request_id = ${id}`;
    expect(row?.['status']).toBe('completed');
    expect(Buffer.from(row?.['content']).toString('latin1')).not.toContain('555-0100');
    const found = await read(id);
    expect(found.status).toBe(200);
    expect(JSON.stringify(found.body)).not.toContain('555-0100');
    expect(found.body).toMatchObject({
      policy_bundle: 'default',
      coverage_achieved: 1,
      response: {
        aggregated_payload: { score: 0.4 },
        detector_results: [
          { detector: 'regex-pii', attempts: 1, status: 'success' },
          { detector: 'llama-guard', attempts: 1, status: 'success' },
        ],
      },
    });
    expect(found.body.detector_results).toHaveLength(2);
  });

  it('is 206 PARTIAL_COVERAGE if too few detectors succeeded, and is stored', async () => {
    const detector_results = [success('regex-pii'), failure('llama-guard'), failure('llama-guard')];
    const answer = await post({ ...request, processing_mode: 'async', detector_results, response });
    expect(answer.status).toBe(206);
    expect(answer.headers.get('location')).toBe(`${base}/${answer.body.request_id}`);
    expect(answer.body).toMatchObject({
      code: 'PARTIAL_COVERAGE',
      status: 'completed',
      coverage_achieved: 0.5,
      fallback_used: true,
      detectors_attempted: 2,
      detectors_succeeded: 1,
    });
    const job = await app.request('GET', `/api/v1/jobs/${answer.body.job_id}`, { key: acme.reader });
    expect(job.body).toMatchObject({ status: 'completed', coverage_achieved: 0.5, fallback_used: true });
    const { body } = await read(answer.body.request_id);
    expect(
      body.detector_results.map((one: { detector: string; attempt: number }) => [one.detector, one.attempt]),
    ).toEqual([
      ['llama-guard', 1],
      ['llama-guard', 2],
      ['regex-pii', 1],
    ]);
  });

  it('causes one audit event', async () => {
    const { body } = await post({ ...request, detector_results: both, response });
    expect(
      await until(
        () => auditActions(body.request_id),
        (actions) => actions.length > 0,
      ),
    ).toEqual(['orchestration.created']);
  });
});

describe('an orchestration recorded in parts', () => {
  it('goes from pending to running to completed, with numbered attempts', async () => {
    const { body: created, status } = await post({ ...request, processing_mode: 'async' });
    expect([status, created.status]).toEqual([201, 'pending']);
    const id = created.request_id;
    const first = await addTo(id, [failure('regex-pii'), success('llama-guard')]);
    expect(first.status).toBe(201);
    expect(first.body).toEqual({
      request_id: id,
      job_id: created.job_id,
      status: 'running',
      results: [
        { detector: 'regex-pii', attempt: 1, status: 'timeout', below_threshold: false },
        { detector: 'llama-guard', attempt: 1, status: 'success', below_threshold: false },
      ],
    });
    const job = () => app.request('GET', `/api/v1/jobs/${created.job_id}`, { key: acme.reader });
    expect((await job()).body).toMatchObject({ request_id: id, status: 'running', coverage_achieved: null });
    const second = await addTo(id, [failure('regex-pii'), success('regex-pii')]);
    expect(second.body.results.map((one: { attempt: number }) => one.attempt)).toEqual([2, 3]);
    const done = await respond(id);
    expect([done.status, done.body.status, done.body.coverage_achieved]).toEqual([200, 'completed', 1]);
    expect((await job()).body).toMatchObject({ status: 'completed', coverage_achieved: 1 });
    expect(
      await until(
        () => auditActions(id),
        (actions) => actions.length === 4,
      ),
    ).toEqual([
      'orchestration.completed',
      'orchestration.created',
      'orchestration.results_added',
      'orchestration.results_added',
    ]);
  });

  it('gives the same response the same answer, changes nothing, and refuses another response', async () => {
    const { body } = await post({ ...request, detector_results: [success('regex-pii')] });
    expect(body.status).toBe('running');
    const first = await respond(body.request_id);
    expect([first.status, first.body.code, first.body.fallback_used]).toEqual([
      206,
      'PARTIAL_COVERAGE',
      true,
    ]);
    const reordered = Object.fromEntries(Object.entries(response).reverse());
    const again = await respond(body.request_id, reordered);
    expect([again.status, again.body]).toEqual([206, first.body]);
    const [row] = await app.admin
      .core`select version from orchestration_requests where request_id = ${body.request_id}`;
    expect(row?.['version']).toBe(2);
    const other = await respond(body.request_id, { ...response, total_processing_time_ms: 41 });
    expect([other.status, other.body.code]).toEqual([409, 'CONFLICT']);
  });

  it('gives equal responses at once the same answer', async () => {
    const { body } = await post({ ...request, detector_results: both });
    const answers = await Promise.all(Array.from({ length: 8 }, () => respond(body.request_id)));
    expect(answers.map((answer) => answer.status)).toEqual(Array(8).fill(200));
    expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
    expect(
      await until(
        () => auditActions(body.request_id),
        (actions) => actions.includes('orchestration.completed'),
      ),
    ).toHaveLength(2);
  });

  it('numbers results that come at once as separate attempts', async () => {
    const { body } = await post(request);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => addTo(body.request_id, [success('regex-pii'), failure('regex-pii')])),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(201));
    const tries = answers.flatMap((answer) =>
      answer.body.results.map((one: { attempt: number }) => one.attempt),
    );
    expect(tries.sort((left: number, right: number) => left - right)).toEqual(
      Array.from({ length: 40 }, (_, n) => n + 1),
    );
  });

  it('may be completed without results: nothing is covered, and late results are refused', async () => {
    const { body } = await post(request);
    const done = await respond(body.request_id);
    expect([done.status, done.body.coverage_achieved]).toEqual([206, 0]);
    const late = await addTo(body.request_id, both);
    expect([late.status, late.body.code]).toEqual([409, 'CONFLICT']);
  });

  it('fails if its response has an error', async () => {
    const { body } = await post({ ...request, processing_mode: 'async', detector_results: both });
    const done = await respond(body.request_id, { ...response, error: 'aggregation failed' });
    expect([done.status, done.body.status, done.body.error]).toEqual([200, 'failed', 'aggregation failed']);
    expect((await addTo(body.request_id, both)).status).toBe(409);
    expect((await cancel(body.job_id)).status).toBe(409);
    expect((await read(body.request_id)).body).toMatchObject({
      status: 'failed',
      response: { error: 'aggregation failed' },
    });
  });
});

describe('coverage', () => {
  it('adds the request’s required detectors to the plan’s, and takes its excluded ones away', async () => {
    const wishes = { required_detectors: ['presidio'], excluded_detectors: ['llama-guard'] };
    const half = await post({ ...request, ...wishes, detector_results: both, response });
    expect([half.status, half.body.coverage_achieved]).toEqual([206, 0.5]);
    const detector_results = [success('regex-pii'), success('presidio')];
    const whole = await post({ ...request, ...wishes, detector_results, response });
    expect([whole.status, whole.body.coverage_achieved]).toEqual([201, 1]);
  });

  it('is the sum of weights under a weighted plan, and ignores the client’s own number', async () => {
    const policy_bundle = await addPlan('acme', {
      coverage_method: 'weighted_coverage',
      weights: jsonb({ a: 0.1, b: 0.7, c: 0.2 }),
    });
    const reached = await post({
      ...request,
      policy_bundle,
      detector_results: [success('a'), success('b')],
      response,
    });
    expect([reached.status, reached.body.coverage_achieved]).toEqual([201, 0.8]);
    const partial = await post({
      ...request,
      policy_bundle,
      detector_results: [success('b'), failure('a')],
      response,
    });
    expect([partial.status, partial.body.coverage_achieved]).toEqual([206, 0.7]);
    const claimed = await post({
      ...request,
      policy_bundle,
      response: { ...response, coverage_achieved: 1 },
    });
    expect([claimed.status, claimed.body.errors[0].pointer]).toEqual([400, '/response/coverage_achieved']);
  });

  it.each([
    ['whole', true],
    ['in parts', false],
  ])('finds taxonomy labels in outputs, metadata and mapping if recorded %s', async (_how, whole) => {
    const policy_bundle = await addPlan('acme', {
      coverage_method: 'taxonomy_coverage',
      coverage_threshold: 0.75,
      required_taxonomy_categories: jsonb(['PII', 'HARM', 'BIAS', 'PROMPT_INJECTION']),
    });
    const results = [
      success('a', { taxonomy: ['PII.Identifier.SSN'] }),
      success('b', { categories: 'HARM' }),
      { ...success('c', 'a text'), metadata: { taxonomy: ['BIASED'] } },
      { ...failure('d'), output: { taxonomy: ['BIAS'] } },
    ];
    const mapped = { ...response, mapping_result: { taxonomy: ['PROMPT_INJECTION.ToolRequest'] } };
    const finish = async (sent: unknown): Promise<TestAnswer> => {
      if (whole) return post({ ...request, policy_bundle, detector_results: results, response: sent });
      const { body } = await post({ ...request, policy_bundle });
      await addTo(body.request_id, results);
      return respond(body.request_id, sent);
    };
    const partial = await finish(response);
    expect([partial.status, partial.body.coverage_achieved]).toEqual([206, 0.5]);
    const reached = await finish(mapped);
    expect([reached.status, reached.body.coverage_achieved]).toEqual([whole ? 201 : 200, 0.75]);
  });

  it('uses the plan as it was when the request was accepted', async () => {
    const policy_bundle = await addPlan('acme', { primary_detectors: jsonb(['a']) });
    const { body } = await post({ ...request, policy_bundle, detector_results: [success('a')] });
    await app.admin.core`delete from routing_plans where tenant_id = 'acme' and plan_name = ${policy_bundle}`;
    expect((await respond(body.request_id)).body.coverage_achieved).toBe(1);
  });

  it('uses a changed plan at once', async () => {
    const plans = '/api/v1/routing-plans';
    const plan = { plan_name: 'changing', primary_detectors: ['a'] };
    const made = await app.request('POST', plans, { key: acme.owner, body: plan });
    const body = { ...request, policy_bundle: plan.plan_name, detector_results: [success('a')], response };
    expect((await post(body)).body.coverage_achieved).toBe(1);
    const changed = await app.request('PUT', `${plans}/${made.body.id}`, {
      key: acme.owner,
      body: { ...plan, primary_detectors: ['a', 'b'] },
      headers: { 'if-match': made.headers.get('etag') ?? '' },
    });
    expect(changed.status).toBe(200);
    expect((await post(body)).body.coverage_achieved).toBe(0.5);
  });

  it('uses a tenant’s own plan before the platform’s of the same name', async () => {
    const plan_name = await addPlan('platform', { primary_detectors: jsonb(['a']) });
    await addPlan('globex', { plan_name, primary_detectors: jsonb(['b']) });
    const body = { ...request, policy_bundle: plan_name, detector_results: [success('a')], response };
    expect((await post(body)).body.coverage_achieved).toBe(1);
    expect((await post(body, globex.writer)).body.coverage_achieved).toBe(0);
  });
});

describe('a policy bundle', () => {
  it.each([
    ['nobody has', () => Promise.resolve('nowhere')],
    ['is inactive', () => addPlan('acme', { is_active: false })],
    ['is another tenant’s', () => addPlan('globex', {})],
  ])('that %s is 400 POLICY_NOT_FOUND', async (_what, plan) => {
    const answer = await post({ ...request, policy_bundle: await plan() });
    expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([
      400,
      'POLICY_NOT_FOUND',
      '/policy_bundle',
    ]);
  });
});

describe('an asynchronous orchestration', () => {
  it.each([
    ['pending', []],
    ['running', both],
  ])('that is %s can be cancelled once, and then accepts nothing more', async (before, results) => {
    const { body } = await post({ ...request, processing_mode: 'async', detector_results: results });
    expect(body.status).toBe(before);
    const cancelled = await cancel(body.job_id);
    expect([cancelled.status, cancelled.body.status]).toEqual([200, 'cancelled']);
    const refused = [
      await cancel(body.job_id),
      await addTo(body.request_id, both),
      await respond(body.request_id),
    ];
    expect(refused.map((answer) => [answer.status, answer.body.code])).toEqual(
      Array(3).fill([409, 'CONFLICT']),
    );
    expect((await read(body.request_id)).body.status).toBe('cancelled');
    expect(
      await until(
        () => auditActions(body.request_id),
        (actions) => actions.length === 2,
      ),
    ).toContain('orchestration.cancelled');
  });

  it('that is completed cannot be cancelled', async () => {
    const { body } = await post({ ...request, processing_mode: 'async', detector_results: both, response });
    expect((await cancel(body.job_id)).status).toBe(409);
  });

  it('is one only if the request is async', async () => {
    const { body } = await post(request);
    expect(body.job_id).toBeUndefined();
    expect((await read(body.request_id)).body.job_id).toBeNull();
  });
});

describe('another tenant’s orchestration', () => {
  let id = '';
  let jobId = '';
  beforeAll(async () => {
    const { body } = await post({ ...request, processing_mode: 'async' });
    id = body.request_id;
    jobId = body.job_id;
  });

  it.each<[string, () => Promise<TestAnswer>]>([
    ['reading', () => read(id, globex.reader)],
    ['adding results', () => addTo(id, both, globex.writer)],
    ['responding', () => respond(id, response, globex.writer)],
    [
      'reading its state by job_id',
      () => app.request('GET', `/api/v1/jobs/${jobId}`, { key: globex.reader }),
    ],
    ['cancelling it', () => cancel(jobId, globex.writer)],
  ])('does not exist for a second tenant: %s is 404', async (_what, ask) => {
    const answer = await ask();
    expect([answer.status, answer.body.code]).toEqual([404, 'NOT_FOUND']);
    expect((await read(id)).body).toMatchObject({ status: 'pending', detector_results: [] });
  });

  it('is in no list of a second tenant', async () => {
    const { body } = await app.request('GET', `${base}?limit=500`, { key: globex.reader });
    expect(body.items.map((item: { request_id: string }) => item.request_id)).not.toContain(id);
  });
});

describe('an idempotency key', () => {
  it('gets the first answer of a recording again, also a partial one', async () => {
    const body = { ...request, processing_mode: 'async', response };
    const first = await post(body, acme.writer, { 'idempotency-key': 'whole-1' });
    const again = await post(body, acme.writer, { 'idempotency-key': 'whole-1' });
    expect([again.status, again.body]).toEqual([206, first.body]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    const other = await post({ ...body, priority: 'high' }, acme.writer, { 'idempotency-key': 'whole-1' });
    expect([other.status, other.body.code]).toEqual([422, 'IDEMPOTENCY_MISMATCH']);
  });

  it('adds results and cancels an asynchronous orchestration once', async () => {
    const { body } = await post({ ...request, processing_mode: 'async' });
    const headers = { 'idempotency-key': 'parts-1' };
    const first = await addTo(body.request_id, both, acme.writer, headers);
    const again = await addTo(body.request_id, both, acme.writer, headers);
    expect([again.status, again.body]).toEqual([201, first.body]);
    expect((await addTo(body.request_id, [failure('x')], acme.writer, headers)).status).toBe(422);
    expect((await read(body.request_id)).body.detector_results).toHaveLength(2);
    const path = `/api/v1/jobs/${body.job_id}/cancel`;
    const cancels = [
      await app.request('POST', path, { key: acme.writer, headers }),
      await app.request('POST', path, { key: acme.writer, headers }),
    ];
    expect(cancels.map((answer) => answer.status)).toEqual([200, 200]);
  });
});

describe('a batch of orchestrations', () => {
  it('gives each item its own outcome', async () => {
    const items = [
      { ...request, idempotency_key: 'batch-1' },
      { ...request, idempotency_key: 'batch-1' },
      { ...request, content: 'other', idempotency_key: 'batch-1' },
      { ...request, policy_bundle: 'nowhere' },
      { ...request, detector_results: both, response },
      { ...request, processing_mode: 'async', response },
      { ...request, environment: 'moon' },
      { ...request, tenant_id: 'globex' },
    ];
    const answer = await app.request('POST', `${base}/batch`, { key: acme.writer, body: { items } });
    expect(answer.status).toBe(207);
    const outcomes = answer.body.items.map((item: { status: number; outcome: string; code?: string }) => [
      item.status,
      item.outcome,
      item.code,
    ]);
    expect(outcomes).toEqual([
      [201, 'created', undefined],
      [200, 'duplicate', undefined],
      [422, 'invalid', 'IDEMPOTENCY_MISMATCH'],
      [400, 'invalid', 'POLICY_NOT_FOUND'],
      [201, 'created', undefined],
      [206, 'created', 'PARTIAL_COVERAGE'],
      [400, 'invalid', 'INVALID_REQUEST'],
      [403, 'refused', 'TENANT_MISMATCH'],
    ]);
    const { body } = await app.request('GET', `/api/v1/jobs/${answer.body.items[5].job_id}`, {
      key: acme.reader,
    });
    expect(body).toMatchObject({ request_id: answer.body.items[5].request_id, status: 'completed' });
  });
});

describe('known results', () => {
  const known = { ...request, content: 'seen before', content_type: 'code' };

  it('are offered to the next request with the same content, without findings', async () => {
    const { body: first } = await post(known);
    expect(first).not.toHaveProperty('known_results');
    await addTo(first.request_id, [success('regex-pii', { secret: 'a finding' }), failure('llama-guard')]);
    const offered = await until(
      () => post(known),
      (answer) => answer.body.known_results !== undefined,
    );
    expect(offered.body.known_results).toEqual([
      { detector: 'regex-pii', status: 'success', confidence: 0.9 },
    ]);
    await post({ ...known, detector_results: [success('llama-guard')] });
    await until(
      () => post(known),
      (answer) => answer.body.known_results?.length === 2,
    );
    const excluding = await post({ ...known, excluded_detectors: ['regex-pii'] });
    expect(excluding.body.known_results.map((one: { detector: string }) => one.detector)).toEqual([
      'llama-guard',
    ]);
    expect((await post(known, globex.writer)).body).not.toHaveProperty('known_results');
    expect((await post({ ...known, content_type: 'text' })).body).not.toHaveProperty('known_results');
    const client = await app.services.cache.client();
    const keys = await client?.keys(`${app.settings.REDIS_KEY_PREFIX}detector:result:*`);
    const prefix = app.settings.REDIS_KEY_PREFIX.length;
    const values = await Promise.all((keys ?? []).map((key) => client?.get(key.slice(prefix))));
    expect(values.length).toBeGreaterThan(0);
    expect(values.join()).not.toMatch(/seen before|a finding/);
  });
});

describe('a list of orchestrations', () => {
  it('filters, and shows every row once, page by page', async () => {
    const environment = 'stage';
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      const whole = n < 2 ? { detector_results: both, response } : {};
      made.push((await post({ ...request, environment, ...whole }, globex.writer)).body.request_id);
    }
    const list = async (query: string): Promise<string[]> => {
      const seen: string[] = [];
      let path: string | undefined = `${base}?environment=stage&limit=2${query}`;
      while (path !== undefined) {
        const page = await app.request('GET', path, { key: globex.reader });
        expect(page.status).toBe(200);
        seen.push(...page.body.items.map((item: { request_id: string }) => item.request_id));
        path = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
      }
      return seen;
    };
    expect(await list('')).toEqual([...made].reverse());
    expect(await list('&sort=created_at')).toEqual(made);
    expect(await list('&status=completed&sort=created_at')).toEqual(made.slice(0, 2));
    expect(await list('&policy_bundle=default&status=pending')).toHaveLength(3);
    expect(await list('&policy_bundle=other')).toEqual([]);
    const [third] = await app.admin.core`
      select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
        from orchestration_requests where request_id = ${made[2] ?? ''}`;
    const at = String(third?.['at']);
    expect(await list(`&sort=created_at&created_from=${at}`)).toEqual(made.slice(2));
    expect(await list(`&sort=created_at&created_to=${at}`)).toEqual(made.slice(0, 2));
  });

  it('shows nothing that has expired', async () => {
    const { body } = await post({ ...request, processing_mode: 'async' });
    await app.admin.core`update orchestration_requests set expires_at = now() - interval '1 second'
      where request_id = ${body.request_id}`;
    const gone = [
      await read(body.request_id),
      await addTo(body.request_id, both),
      await respond(body.request_id),
      await cancel(body.job_id),
    ];
    expect(gone.map((answer) => answer.status)).toEqual([404, 404, 404, 404]);
  });
});

describe('usage', () => {
  it('counts calls and detector runs, and a spent allowance refuses the complete write', async () => {
    const used = async (): Promise<Record<string, number>> => {
      const rows = await app.admin
        .billing`select usage_type, sum(usage_amount)::float8 as amount from usage_records
        where tenant_id = 'globex' group by usage_type`;
      return Object.fromEntries(rows.map((row) => [row['usage_type'], row['amount']]));
    };
    const settled = (): Promise<unknown> =>
      until(
        () => app.admin.billing`select from ops.usage_reservations where tenant_id = 'globex'`,
        (rows) => rows.length === 0,
      );
    const { body } = await post(request, globex.writer);
    await settled();
    const before = await used();
    await addTo(body.request_id, both, globex.writer);
    await post({ ...request, detector_results: both, response }, globex.writer);
    await settled();
    const after = await used();
    expect((after['api_calls'] ?? 0) - (before['api_calls'] ?? 0)).toBe(2);
    expect((after['detector_runs'] ?? 0) - (before['detector_runs'] ?? 0)).toBe(4);
    await app.admin.billing`update free_tier_usage set usage_limit = current_usage + 1
      where tenant_id = 'globex' and usage_type = 'detector_runs'`;
    const refused = await addTo(body.request_id, both, globex.writer);
    expect([refused.status, refused.body.code, refused.body.usage_type]).toEqual([
      402,
      'QUOTA_EXCEEDED',
      'detector_runs',
    ]);
    expect((await addTo(body.request_id, [failure('x')], globex.writer)).status).toBe(201);
    expect((await read(body.request_id, globex.reader)).body.detector_results).toHaveLength(3);
  });
});

describe('a malformed request', () => {
  it('reports every fault at once, each where it is', async () => {
    const answer = await post({
      content: '',
      content_type: 'video',
      policy_bundle: 'default',
      environment: 'prod',
      colour: 'red',
      detector_results: [{ ...success('a'), confidence: 1.5, status: 'ok' }],
      response: { total_processing_time_ms: -1 },
    });
    expect([answer.status, answer.body.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(answer.body.errors.map((fault: { pointer: string }) => fault.pointer).sort()).toEqual([
      '/colour',
      '/content',
      '/content_type',
      '/detector_results/0/confidence',
      '/detector_results/0/status',
      '/response/total_processing_time_ms',
    ]);
  });

  it('is one with a detector both required and excluded', async () => {
    const answer = await post({
      ...request,
      required_detectors: ['a', 'b'],
      excluded_detectors: ['c', 'b', 'a'],
    });
    expect(answer.body.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual([
      '/excluded_detectors/1',
      '/excluded_detectors/2',
    ]);
  });

  it('is one with more than 50,000 characters, counted as code points', async () => {
    const longest = await post({ ...request, content: '🙂'.repeat(50_000) });
    expect(longest.status).toBe(201);
    const longer = await post({ ...request, content: '🙂'.repeat(50_001) });
    expect([longer.status, longer.body.errors[0].pointer]).toEqual([400, '/content']);
  });

  it.each<[string, string, string, unknown, number]>([
    ['no results', 'POST', `${base}/${newId()}/detector-results`, { results: [] }, 400],
    [
      'too many results',
      'POST',
      `${base}/${newId()}/detector-results`,
      { results: Array(101).fill(success('a')) },
      400,
    ],
    ['results of an unknown request', 'POST', `${base}/${newId()}/detector-results`, { results: both }, 404],
    ['a response without its time', 'PUT', `${base}/${newId()}/response`, {}, 400],
    ['a response to an unknown request', 'PUT', `${base}/${newId()}/response`, response, 404],
    ['an id that is none', 'GET', `${base}/17`, undefined, 400],
    ['an unknown filter', 'GET', `${base}?colour=red`, undefined, 400],
    ['a time that is none', 'GET', `${base}?created_from=yesterday`, undefined, 400],
    ['an unknown job_id', 'POST', `/api/v1/jobs/${newId()}/cancel`, undefined, 404],
  ])('is refused: %s', async (_what, method, path, body, status) => {
    const answer = await app.request(method, path, { key: acme.writer, body });
    expect(answer.status).toBe(status);
  });

  it('is one with a read-only key', async () => {
    const answer = await post(request, acme.reader);
    expect([answer.status, answer.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
  });
});
