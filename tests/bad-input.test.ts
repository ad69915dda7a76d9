import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, until, type RequestOptions, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex, operator } = app.keys;

/** Only this file's requests contain it. No log line may contain it. */
const RAW = `raw-${randomUUID()}`;

const mapping = { detector: 'regex-pii', source_data: `SSN ${RAW}`, model_version: 'v1' };
const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.97 },
  confidence: 0.97,
  processing_time_ms: 120,
  model_used: 'mapper-8b',
};
const orchestration = {
  content: `say ${RAW}`,
  content_type: 'text',
  policy_bundle: 'default',
  environment: 'prod',
};
const analysis = {
  period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
  metrics: { note: RAW },
};

/** Words about the service's internals. No answer may contain them. */
const INSIDE =
  /\bat [\w.<>]+ \(|node_modules|\.[jt]s:\d|\b(?:postgres|sql|sqlstate|relation|constraint|syntax|undefined|stack|redis)\b/i;

/** Checks a refusal: its problem document, status and code. */
function expectRefusal(answer: TestAnswer, status: number, code: string): void {
  expect([answer.status, answer.body.code]).toEqual([status, code]);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body).toMatchObject({
    status,
    title: expect.any(String),
    type: expect.any(String),
    trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(JSON.stringify(answer.body)).not.toMatch(INSIDE);
}

const pointersOf = (answer: TestAnswer): string[] =>
  answer.body.errors.map((fault: { pointer: string }) => fault.pointer).sort();

const post = (path: string, options: RequestOptions): Promise<TestAnswer> =>
  app.request('POST', `/api/v1${path}`, { key: acme.writer, ...options });
const get = (path: string, options: RequestOptions = {}): Promise<TestAnswer> =>
  app.request('GET', `/api/v1${path}`, { key: acme.reader, ...options });

const countMappings = async (): Promise<number> => {
  const [row] = await app.admin.core`select count(*)::int as n from mapper_requests`;
  return row?.['n'];
};

describe('a body that the route does not take', () => {
  it.each<[string, string | Uint8Array<ArrayBuffer>, string, string]>([
    ['no JSON', `{"source_data": "${RAW}`, '', 'is not JSON'],
    ['nothing', '', '', 'is not JSON'],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), '', 'is not UTF-8'],
    ['a surrogate as UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), '', 'is not UTF-8'],
    [
      'half a surrogate pair',
      '{"metadata":{"a":["x","\\ud800"]}}',
      '/metadata/a/1',
      'holds a NUL or half a surrogate pair',
    ],
    ['the other half', '{"detector":"\\udc00"}', '/detector', 'holds a NUL or half a surrogate pair'],
    ['a NUL', '{"metadata":{"a/b":"\\u0000"}}', '/metadata/a~1b', 'holds a NUL or half a surrogate pair'],
    [
      'a NUL in a name',
      '{"metadata":{"\\u0000":1}}',
      '/metadata',
      'has a name that holds a NUL or half a surrogate pair',
    ],
    [
      'a number beyond any',
      '{"metadata":{"huge":-1e999}}',
      '/metadata/huge',
      'is beyond the range of a number',
    ],
  ])('is refused: %s', async (_what, raw, pointer, detail) => {
    const answer = await post('/mappings', { raw });
    expectRefusal(answer, 400, 'INVALID_REQUEST');
    expect(answer.body.errors).toEqual([{ pointer, detail }]);
  });

  it.each(['[]', 'null', '17', '"text"', 'true', '{}'])('is refused: %s', async (raw) => {
    expectRefusal(await post('/mappings', { raw }), 400, 'INVALID_REQUEST');
  });

  it.each([
    ['objects', (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)],
    ['lists', (depth: number) => '['.repeat(depth) + ']'.repeat(depth)],
  ])('is refused if its %s are nested too deep, and not if they are less deep', async (_what, nested) => {
    const send = (depth: number): Promise<TestAnswer> =>
      post('/mappings', { raw: `{"metadata":{"a":${nested(depth)}}}` });
    const endless = await send(40_000);
    expectRefusal(endless, 400, 'INVALID_REQUEST');
    expect(endless.body.errors[0].detail).toBe('is nested deeper than 40 levels');
    const deep = await post('/mappings', {
      raw: JSON.stringify(mapping).replace(/\}$/, `,"metadata":{"a":${nested(30)}}}`),
    });
    expect(deep.status).toBe(201);
  });

  it('gets all its faults at once, in body, path and query, by pointer', async () => {
    const body = {
      ...orchestration,
      content: 7,
      content_type: 'song',
      priority: null,
      metadata: [],
      'odd/name': 1,
      detector_results: [
        { detector: 'a', status: 'success', processing_time_ms: -1 },
        { detector: '', status: 'won', processing_time_ms: 1.5, confidence: 1.01, more: true },
      ],
      response: { routing_decision: {} },
    };
    const answer = await post('/orchestrations', { body });
    expectRefusal(answer, 400, 'INVALID_REQUEST');
    expect(pointersOf(answer)).toEqual([
      '/content',
      '/content_type',
      '/detector_results/0/processing_time_ms',
      '/detector_results/1/confidence',
      '/detector_results/1/detector',
      '/detector_results/1/more',
      '/detector_results/1/processing_time_ms',
      '/detector_results/1/status',
      '/metadata',
      '/odd~1name',
      '/priority',
      '/response/total_processing_time_ms',
    ]);
    const elsewhere = await app.request('PUT', '/api/v1/mappings/no-uuid/response', {
      key: acme.writer,
      body: { ...response, confidence: 'high' },
    });
    expect(pointersOf(elsewhere)).toEqual(['/confidence', 'path/request_id']);
    const query = await get('/mappings?limit=0&sort=sideways&colour=red&status=lost');
    expect(pointersOf(query)).toEqual(['query/colour', 'query/limit', 'query/sort', 'query/status']);
  });

  it('is refused with 413 above the route’s limit, and taken just below', async () => {
    const answer = await post('/mappings', {
      raw: JSON.stringify({ ...mapping, metadata: { pad: 'x'.repeat(256 * 1024) } }),
    });
    expectRefusal(answer, 413, 'PAYLOAD_TOO_LARGE');
    const below = await post('/mappings', {
      raw: JSON.stringify({ ...mapping, metadata: { pad: 'x'.repeat(200 * 1024) } }),
    });
    expect(below.status).toBe(201);
    const batch = await post('/mappings/batch', { raw: `{"items":["${'x'.repeat(8 * 1024 * 1024)}"]}` });
    expectRefusal(batch, 413, 'PAYLOAD_TOO_LARGE');
    const source = await post('/mappings', { body: { ...mapping, source_data: 'é'.repeat(32_769) } });
    expectRefusal(source, 400, 'INVALID_REQUEST');
    expect(pointersOf(source)).toEqual(['/source_data']);
  });

  it.each(['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'application/jsonp', ''])(
    'is refused with 415 as %j',
    async (type) => {
      const answer = await post('/mappings', { body: mapping, headers: { 'content-type': type } });
      expectRefusal(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
    },
  );

  it('is accepted as JSON in any spelling of the media type', async () => {
    const headers = { 'content-type': 'Application/JSON; charset="utf-8"' };
    expect((await post('/mappings', { body: mapping, headers })).status).toBe(201);
  });

  it('is refused with a name that no object can have, at any place', async () => {
    const before = await countMappings();
    for (const [raw, pointer] of [
      ['{"__proto__":{"polluted":true},"detector":"d"}', '/__proto__'],
      [
        JSON.stringify(mapping).replace('{', '{"metadata":{"a":[{"__proto__":1}]},'),
        '/metadata/a/0/__proto__',
      ],
    ] as const) {
      const answer = await post('/mappings', { raw });
      expectRefusal(answer, 400, 'INVALID_REQUEST');
      expect(answer.body.errors).toEqual([{ pointer, detail: 'is not a name that can be kept' }]);
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    expect(await countMappings()).toBe(before);
  });

  it('may have names that are special in JavaScript', async () => {
    const before = await countMappings();
    for (const name of ['constructor', 'prototype', 'toString']) {
      const answer = await post('/mappings', {
        raw: JSON.stringify(mapping).replace('{', `{"${name}":{"polluted":true},`),
      });
      expectRefusal(answer, 400, 'INVALID_REQUEST');
      const free = await post('/mappings', {
        raw: JSON.stringify(mapping).replace('{', `{"metadata":{"${name}":{"polluted":true}},`),
      });
      expect(free.status).toBe(201);
      const kept = await get(`/mappings/${free.body.request_id}`);
      expect(kept.body.metadata).toEqual({ [name]: { polluted: true } });
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    expect(await countMappings()).toBe(before + 3);
  });
});

describe('an instant', () => {
  const askFor = (start: string): Promise<TestAnswer> =>
    post('/analyses', { body: { ...analysis, period: { start, end: '2030-01-01T00:00:00Z' } } });

  it.each([
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '2020-01-01T00:00:00+23:59',
    '2020-01-01T00:00:00-16:00',
    `2020-01-01T00:00:00.${'1'.repeat(200)}Z`,
    '2020-02-30T00:00:00Z',
    '2020-01-01',
    '2020-01-01 00:00:00Z',
    '2020-13-01T00:00:00Z',
    '+020000-01-01T00:00:00Z',
    'infinity',
    '-infinity',
    'now',
    'epoch',
  ])('that cannot be stored is refused: %s', async (start) => {
    const answer = await askFor(start);
    expectRefusal(answer, 400, 'INVALID_REQUEST');
    expect(pointersOf(answer)).toEqual(['/period/start']);
    for (const list of ['/records', '/audit-logs', '/analysis-metrics']) {
      const filtered = await get(`${list}?from=${encodeURIComponent(start)}`);
      expectRefusal(filtered, 400, 'INVALID_REQUEST');
      expect(pointersOf(filtered)).toEqual(['query/from']);
    }
  });

  it.each([
    '1900-01-01T00:00:00Z',
    '9989-12-31T23:59:59.999999999Z',
    '2024-02-29T12:00:00+14:00',
    '2020-01-01T00:00:00-15:59',
  ])('is accepted: %s', async (at) => {
    for (const list of ['/records', '/audit-logs', '/analysis-metrics', '/orchestrations']) {
      const [from, to] = list === '/orchestrations' ? ['created_from', 'created_to'] : ['from', 'to'];
      for (const sort of list === '/analysis-metrics'
        ? ['time_period', '-time_period']
        : ['created_at', '-created_at']) {
        for (const side of [from, to]) {
          const answer = await get(`${list}?${side}=${encodeURIComponent(at)}&sort=${sort}`);
          expect([list, sort, side, answer.status]).toEqual([list, sort, side, 200]);
        }
      }
    }
  });
});

describe('a credential', () => {
  const unknown = `cai_local_${'a'.repeat(20)}_${'b'.repeat(40)}`;
  const secretChanged = acme.reader.slice(0, -1) + (acme.reader.endsWith('a') ? 'b' : 'a');

  it.each<[string, Record<string, string>]>([
    ['is missing', {}],
    ['is unknown', { authorization: `Bearer ${unknown}` }],
    ['has another secret', { authorization: `Bearer ${secretChanged}` }],
    ['is no key at all', { authorization: 'Bearer hello' }],
    ['is empty', { authorization: 'Bearer ' }],
    ['is of another scheme', { authorization: `Basic ${acme.reader}` }],
    ['is unknown, as X-API-Key', { 'x-api-key': unknown }],
    ['is an empty X-API-Key', { 'x-api-key': '' }],
    [
      'is wrong although the other header is right',
      { authorization: `Bearer ${unknown}`, 'x-api-key': acme.reader },
    ],
    ['is two', { authorization: `Bearer ${acme.reader}, Bearer ${acme.reader}` }],
    ['is very long', { authorization: `Bearer ${'x'.repeat(8000)}` }],
    ['is a wildcard of SQL', { authorization: `Bearer cai_local_${'%'.repeat(20)}_${'_'.repeat(40)}` }],
  ])('that %s is 401', async (_what, headers) => {
    const answer = await get('/mappings', { key: undefined, headers });
    expectRefusal(answer, 401, 'UNAUTHORIZED');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
  });

  it('works in either header', async () => {
    expect((await get('/mappings', { key: undefined, headers: { 'x-api-key': acme.reader } })).status).toBe(
      200,
    );
    const lower = { authorization: `bearer  ${acme.reader}` };
    expect((await get('/mappings', { key: undefined, headers: lower })).status).toBe(200);
  });

  it.each([
    ['revoked', { is_active: false, revoked_at: new Date('2026-01-01T00:00:00Z') }],
    ['expired', { expires_at: new Date('2020-01-01T00:00:00Z') }],
    ['inactive', { is_active: false }],
  ])('that is %s is 401', async (_what, columns) => {
    const key = await app.makeKey('acme', ['mappings:read'], columns);
    expectRefusal(await get('/mappings', { key }), 401, 'UNAUTHORIZED');
  });

  it('that was revoked over the API is refused from then on', async () => {
    const made = await app.request('POST', '/api/v1/api-keys', {
      key: acme.owner,
      body: { key_name: 'short-lived', permissions: ['mappings:read'] },
    });
    const key: string = made.body.api_key;
    expect((await get('/mappings', { key })).status).toBe(200);
    await app.request('DELETE', `/api/v1/api-keys/${made.body.key_id}`, { key: acme.owner });
    expectRefusal(await get('/mappings', { key }), 401, 'UNAUTHORIZED');
  });

  it('is checked before the rest of the request', async () => {
    const answer = await post('/mappings', {
      key: unknown,
      raw: '{',
      headers: { 'content-type': 'text/plain' },
    });
    expectRefusal(answer, 401, 'UNAUTHORIZED');
  });
});

describe('a permission that the key lacks', () => {
  it('is 403 before the body is looked at, and is audited as denied', async () => {
    const answer = await post('/mappings', { key: acme.reader, raw: '{' });
    expectRefusal(answer, 403, 'INSUFFICIENT_RBAC');
    const entry = await auditEntryOf(answer);
    expect(entry).toMatchObject({ tenant_id: 'acme', action: 'mappings-create.denied', outcome: 'denied' });
    expect(entry['details']).toEqual({ code: 'INSUFFICIENT_RBAC' });
  });

  it('is refused to a tenant’s owner on operators’ routes', async () => {
    for (const path of ['/platform/tenants', '/platform/jobs', '/platform/quarantine']) {
      expectRefusal(await get(path, { key: acme.owner }), 403, 'INSUFFICIENT_RBAC');
    }
  });

  it('is not granted by a name that this build does not know', async () => {
    const key = await app.makeKey('acme', ['mappings:everything' as 'mappings:read']);
    expectRefusal(await get('/mappings', { key }), 403, 'INSUFFICIENT_RBAC');
  });
});

/** Waits for the audit entry of a request, by its trace id. */
async function auditEntryOf(answer: TestAnswer): Promise<Record<string, unknown>> {
  const traceId = answer.headers.get('x-ms-request-id') ?? '';
  const rows = await until(
    () => app.admin.core`select * from audit_logs where trace_id = ${traceId}`,
    (found) => found.length > 0,
  );
  expect(rows).toHaveLength(1);
  return rows[0] ?? {};
}

describe('another tenant', () => {
  it('has no row that this tenant finds by its id in a path', async () => {
    const owner = { key: acme.owner };
    const made = {
      orchestration: await post('/orchestrations', { body: { ...orchestration, processing_mode: 'async' } }),
      mapping: await post('/mappings', { body: { ...mapping, response } }),
      analysis: await post('/analyses', { body: analysis }),
      plan: await post('/routing-plans', { body: { plan_name: 'ours', primary_detectors: ['x'] } }),
      detector: await post('/detector-configs', {
        body: { detector_name: 'ours', detector_type: 'pii', version: '1' },
      }),
      hold: await post('/legal-holds', { ...owner, body: { name: 'ours', reason: 'a case', scope: {} } }),
      policy: await post('/data-retention-policies', {
        ...owner,
        body: { data_type: 'analyses', retention_days: 30 },
      }),
      apiKey: await post('/api-keys', { ...owner, body: { key_name: 'ours', permission_set: 'reader' } }),
    };
    for (const [what, answer] of Object.entries(made)) expect([what, answer.status]).toEqual([what, 201]);
    const audit = await until(
      () => get('/audit-logs?limit=1'),
      (answer) => answer.body.items.length > 0,
    );
    const ids = {
      orchestration: made.orchestration.body.request_id,
      mapping: made.mapping.body.request_id,
      record: made.mapping.body.record_id,
      analysis: made.analysis.body.request_id,
    };
    const detectorResults = {
      results: [{ detector: 'regex-pii', status: 'success', processing_time_ms: 1 }],
    };
    const { explanation, ...cost } = { explanation: 'x', processing_time_ms: 1, model_used: 'm' };
    const tries: [string, string, unknown?][] = [
      ['GET', `/orchestrations/${ids.orchestration}`],
      ['POST', `/orchestrations/${ids.orchestration}/detector-results`, detectorResults],
      ['PUT', `/orchestrations/${ids.orchestration}/response`, { total_processing_time_ms: 1 }],
      ['GET', `/jobs/${made.orchestration.body.job_id}`],
      ['POST', `/jobs/${made.orchestration.body.job_id}/cancel`],
      ['GET', `/mappings/${ids.mapping}`],
      ['PUT', `/mappings/${ids.mapping}/response`, response],
      ['GET', `/records/${ids.record}`],
      ['GET', `/records/${ids.record}/source`],
      ['GET', `/analyses/${ids.analysis}`],
      ['PUT', `/analyses/${ids.analysis}/response`, { explanation, confidence: 1, ...cost }],
      ['POST', `/analyses/${ids.analysis}/fallback`, {}],
      ...Object.entries(ids).map(([kind, id]): [string, string] => ['GET', `/lineage/${kind}/${id}`]),
      ['GET', `/audit-logs/${audit.body.items[0].id}`],
      ['GET', `/routing-plans/${made.plan.body.id}`],
      ['PUT', `/routing-plans/${made.plan.body.id}`, { plan_name: 'theirs' }],
      ['DELETE', `/routing-plans/${made.plan.body.id}`],
      ['DELETE', `/detector-configs/${made.detector.body.id}`],
      ['GET', `/legal-holds/${made.hold.body.hold_id}`],
      ['POST', `/legal-holds/${made.hold.body.hold_id}/release`],
      ['GET', `/data-retention-policies/${made.policy.body.policy_id}`],
      ['DELETE', `/data-retention-policies/${made.policy.body.policy_id}`],
      ['POST', `/api-keys/${made.apiKey.body.key_id}/rotate`, {}],
      ['DELETE', `/api-keys/${made.apiKey.body.key_id}`],
    ];
    for (const [method, path, body] of tries) {
      const headers = method === 'PUT' ? { 'if-match': '*' } : {};
      const answer = await app.request(method, `/api/v1${path}`, { key: globex.owner, body, headers });
      expect([method, path, answer.status]).toEqual([method, path, 404]);
      expectRefusal(answer, 404, 'NOT_FOUND');
    }
    const after = await get(`/routing-plans/${made.plan.body.id}`);
    expect([after.status, after.body.plan_name]).toEqual([200, 'ours']);
    expect((await get(`/jobs/${made.orchestration.body.job_id}`)).body.status).toBe('pending');
  });

  it.each<[string, string, RequestOptions]>([
    ['the body', '/mappings', { body: { ...mapping, tenant_id: 'globex' } }],
    [
      'an object within the body',
      '/mappings',
      { body: { ...mapping, response: { ...response, provenance: { tenant_id: 'globex' } } } },
    ],
    [
      'an object in a list of the body',
      '/orchestrations',
      {
        body: {
          ...orchestration,
          detector_results: [
            { detector: 'a', status: 'success', processing_time_ms: 1, tenant_id: 'globex' },
          ],
        },
      },
    ],
    [
      'a point of a series',
      '/analysis-metrics',
      { body: { metrics: [{ metric_name: 'x', tenant_id: 'globex' }] } },
    ],
    ['a query', '/mappings?tenant_id=globex', { body: mapping }],
    ['a query that names both', '/mappings?tenant_id=acme&tenant_id=globex', { body: mapping }],
    ['a header', '/mappings', { body: mapping, headers: { 'x-tenant-id': 'globex' } }],
  ])('named in %s is 403, audited, and nothing is written', async (_where, path, options) => {
    const before = await countMappings();
    const answer = await post(path, options);
    expectRefusal(answer, 403, 'TENANT_MISMATCH');
    expect(await countMappings()).toBe(before);
    expect(await auditEntryOf(answer)).toMatchObject({
      tenant_id: 'acme',
      outcome: 'denied',
      details: { code: 'TENANT_MISMATCH' },
    });
  });

  it.each(['/mappings', '/records', '/audit-logs', '/usage', '/routing-plans', '/api-keys'])(
    'named in the filter of %s is 403',
    async (path) => {
      const answer = await get(`${path}?tenant_id=globex`, { key: acme.owner });
      expectRefusal(answer, 403, 'TENANT_MISMATCH');
      expect((await get(`${path}?tenant_id=acme`, { key: acme.owner })).status).toBe(200);
    },
  );

  it('may be named in the client’s own data, and is read back from there', async () => {
    const theirs = { tenant_id: 'globex', nested: [{ tenant_id: 'globex' }] };
    const made = await post('/analyses', { body: { ...analysis, metrics: theirs, metadata: theirs } });
    expect(made.status).toBe(201);
    const read = await get(`/analyses/${made.body.request_id}`);
    expect(read.body).toMatchObject({ metrics: theirs, metadata: theirs });
    const mapped = await post('/mappings', {
      body: {
        ...mapping,
        output: theirs,
        response: { ...response, policy_context: theirs, version_info: theirs },
      },
    });
    expect(mapped.status).toBe(201);
    const orchestrated = await post('/orchestrations', {
      body: {
        ...orchestration,
        response: { total_processing_time_ms: 1, aggregated_payload: theirs, routing_decision: theirs },
      },
    });
    expect([201, 206]).toContain(orchestrated.status);
  });

  it('does not include the own tenant, whose name is accepted at that place only', async () => {
    expect((await post('/mappings', { body: { ...mapping, tenant_id: 'acme' } })).status).toBe(201);
    const wrongType = await post('/mappings', { body: { ...mapping, tenant_id: ['acme'] } });
    expectRefusal(wrongType, 400, 'INVALID_REQUEST');
    expect(pointersOf(wrongType)).toEqual(['/tenant_id']);
  });
});

describe('a cursor', () => {
  const LISTS = ['/mappings', '/records', '/routing-plans', '/api-keys', '/audit-logs'];

  it.each(LISTS)('of %s is refused if any of its bytes is changed', async (list) => {
    const key = acme.owner;
    const page = await until(
      async () => {
        await post('/mappings', { body: { ...mapping, response } });
        return get(`${list}?limit=1`, { key });
      },
      (answer) => answer.headers.has('link'),
    );
    const next = new URL(/<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1] ?? '');
    const cursor = Buffer.from(next.searchParams.get('cursor') ?? '', 'base64url');
    expect((await get(`${list}?limit=1&cursor=${cursor.toString('base64url')}`, { key })).status).toBe(200);
    const changed = [0, 15, 16, 20, cursor.length - 1].map((at) => {
      const bytes = Buffer.from(cursor);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes.toString('base64url');
    });
    for (const forged of [
      ...changed,
      cursor.subarray(0, 20).toString('base64url'),
      'x',
      '',
      '%00',
      'A'.repeat(900),
    ]) {
      const answer = await get(`${list}?limit=1&cursor=${forged}`, { key });
      expectRefusal(answer, 400, 'INVALID_REQUEST');
      expect(pointersOf(answer)).toEqual(['query/cursor']);
    }
  });

  it('of one list is refused with another list, sort, filter or tenant', async () => {
    await post('/mappings', { body: mapping });
    await post('/mappings', { body: mapping });
    const page = await get('/mappings?limit=1');
    const cursor = new URL(/<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1] ?? '').searchParams.get(
      'cursor',
    );
    for (const [path, key] of [
      ['/orchestrations?', acme.reader],
      ['/mappings?sort=created_at&', acme.reader],
      ['/mappings?status=pending&', acme.reader],
      ['/mappings?', globex.reader],
    ] as const) {
      expectRefusal(await get(`${path}cursor=${cursor ?? ''}`, { key }), 400, 'INVALID_REQUEST');
    }
    expect((await get(`/mappings?limit=7&cursor=${cursor ?? ''}`)).status).toBe(200);
  });
});

describe('an idempotency key', () => {
  const CREATIONS: [string, string, () => object, object][] = [
    ['/mappings', 'mapper_requests', () => ({ ...mapping, response }), { priority: 'high' }],
    ['/orchestrations', 'orchestration_requests', () => orchestration, { priority: 'high' }],
    ['/analyses', 'analysis_requests', () => analysis, { metadata: { other: true } }],
    [
      '/routing-plans',
      'routing_plans',
      () => ({ plan_name: `plan-${newId()}` }),
      { coverage_threshold: 0.1 },
    ],
  ];

  it.each(CREATIONS)(
    'of %s gets the first answer again, quoted or bare, and 422 with another body',
    async (path, _table, make, change) => {
      const key = newId();
      const body = make();
      const send = (header: string, sent: unknown): Promise<TestAnswer> =>
        post(path, { body: sent, headers: { 'idempotency-key': header } });
      const first = await send(key, body);
      expect(first.status).toBe(201);
      expect(first.headers.has('idempotency-replayed')).toBe(false);
      for (const header of [key, `"${key}"`, ` ${key} `]) {
        const again = await send(header, body);
        expect([again.status, again.body]).toEqual([first.status, first.body]);
        expect(again.headers.get('idempotency-replayed')).toBe('true');
      }
      expectRefusal(await send(key, { ...body, ...change }), 422, 'IDEMPOTENCY_MISMATCH');
    },
  );

  it.each(CREATIONS)('of %s has exactly one effect with many requests at once', async (path, table, make) => {
    const count = async (): Promise<number> => {
      const [row] = await app.admin.core`select count(*)::int as n from ${app.admin.core(table)}`;
      return row?.['n'];
    };
    const before = await count();
    const key = newId();
    const body = make();
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => post(path, { body, headers: { 'idempotency-key': key } })),
    );
    const done = answers.filter((answer) => answer.status !== 409);
    for (const answer of answers.filter((other) => other.status === 409)) {
      expectRefusal(answer, 409, 'CONFLICT');
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    }
    expect(new Set(done.map((answer) => JSON.stringify([answer.status, answer.body]))).size).toBe(1);
    expect(done.filter((answer) => !answer.headers.has('idempotency-replayed'))).toHaveLength(1);
    expect(await count()).toBe(before + 1);
  });

  it.each(['', ' ', '"', '"never ends', '""', 'é', 'x'.repeat(256), 'a\tb'])(
    'of %j is refused',
    async (key) => {
      const answer = await post('/mappings', { body: mapping, headers: { 'idempotency-key': key } });
      expectRefusal(answer, 400, 'INVALID_REQUEST');
      expect(pointersOf(answer)).toEqual(['header/Idempotency-Key']);
    },
  );

  it('does not store a refusal, so the corrected request succeeds', async () => {
    const headers = { 'idempotency-key': newId() };
    expect((await post('/mappings', { body: { ...mapping, detector: '' }, headers })).status).toBe(400);
    expect((await post('/mappings', { body: mapping, headers })).status).toBe(201);
  });
});

describe('a path', () => {
  it.each([
    ['PATCH', '/api/v1/mappings', 'POST, GET, HEAD'],
    ['DELETE', '/api/v1/mappings', 'POST, GET, HEAD'],
    ['DELETE', '/api/v1/analyses/018f0000-0000-7000-8000-000000000000', 'GET, HEAD'],
    ['POST', '/api/health/live', 'GET, HEAD'],
    ['PUT', '/api/v1/usage', 'GET, HEAD'],
    ['OPTIONS', '/api/v1/records', 'GET, HEAD'],
  ])('known by other methods is 405 with Allow: %s %s', async (method, path, allow) => {
    const answer = await app.request(method, path, { key: acme.reader });
    expectRefusal(answer, 405, 'METHOD_NOT_ALLOWED');
    expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(allow.split(', ').sort());
  });

  it.each([
    '/api',
    '/api/',
    '/api/v1',
    '/api/v2/mappings',
    '/api/v1/mapping',
    '/',
    '/x?y=z',
    '/api/v1/mappings/a/b/c',
    '/api/%00',
    '/api/%ff',
    '/api/v1/../v1/nothing',
  ])('without a route is 404: %s', async (path) => {
    const answer = await app.request('GET', path, { key: acme.reader });
    expect(answer.status).toBe(404);
    if (path.startsWith('/api/')) expectRefusal(answer, 404, 'NOT_FOUND');
  });

  it.each([
    '1',
    'batch',
    'null',
    '%00',
    '%FF',
    `${newId()}x`,
    `'; drop table mapper_requests; --`,
    `{${newId()}}`,
    'x'.repeat(3000),
  ])('with an invalid id is 400 on every route: %s', async (id) => {
    const encoded = id.startsWith('%') ? id : encodeURIComponent(id);
    for (const path of [
      `/mappings/${encoded}`,
      `/records/${encoded}`,
      `/jobs/${encoded}`,
      `/audit-logs/${encoded}`,
      `/routing-plans/${encoded}`,
      `/lineage/mapping/${encoded}`,
      `/lineage/${encoded}/${newId()}`,
    ]) {
      expectRefusal(await get(path), 400, 'INVALID_REQUEST');
    }
  });

  it.each([
    'ffffffff-ffff-7fff-bfff-ffffffffffff',
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '00000000-0000-7000-8000-000000000000',
    randomUUID().toUpperCase(),
  ])('with an unknown id is 404, with any time in the id: %s', async (id) => {
    for (const path of [
      `/mappings/${id}`,
      `/records/${id}`,
      `/orchestrations/${id}`,
      `/analyses/${id}`,
      `/jobs/${id}`,
      `/audit-logs/${id}`,
      `/routing-plans/${id}`,
      `/lineage/record/${id}`,
      `/lineage/analysis/${id}`,
    ]) {
      const answer = await get(path);
      expect([path, answer.status]).toEqual([path, 404]);
      expectRefusal(answer, 404, 'NOT_FOUND');
    }
    const source = await get(`/records/${id}/source`, { key: acme.owner });
    expectRefusal(source, 404, 'NOT_FOUND');
  });

  it.each(['\u0000', 'no-such-job', '../../x', '🙂'])('with an unknown job is refused: %j', async (name) => {
    const path = `/platform/jobs/${encodeURIComponent(name)}/runs`;
    const expected: [number, string] = name === '\u0000' ? [400, 'INVALID_REQUEST'] : [404, 'NOT_FOUND'];
    expectRefusal(await get(path, { key: operator }), ...expected);
    expectRefusal(await post(path, { key: operator, body: {} }), ...expected);
  });
});

describe('a query', () => {
  it.each([
    'limit=abc',
    'limit=1e3',
    'limit=501',
    'limit=-1',
    'limit=1&limit=2',
    'limit=',
    'limit=0x10',
    'limit=99999999999999999999',
    'detector=%00',
    'LIMIT=1',
    'status[]=pending',
    `detector=${'x'.repeat(201)}`,
  ])('that the route does not have is 400: %s', async (query) => {
    expectRefusal(await get(`/mappings?${query}`), 400, 'INVALID_REQUEST');
  });

  it.each([
    'detector=%ff%fe',
    'detector=%F0%9F%99%82',
    'detector=%ED%A0%80',
    `detector=';select`,
    'detector=a%20%26b',
  ])('with odd text finds nothing: %s', async (query) => {
    const answer = await get(`/mappings?${query}`);
    expect([answer.status, answer.body.items]).toEqual([200, []]);
  });
});

/** Sends header lines unchanged. fetch would join or refuse them. */
function sendLines(
  method: string,
  path: string,
  lines: readonly string[],
  body = '',
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      `${app.baseUrl}${path}`,
      { method, headers: [...lines] as never },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => (text += chunk));
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Sends bytes unchanged and returns the status. */
function sendBytes(text: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(app.host.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (!answer.includes('\r\n')) return;
      socket.destroy();
      resolve(Number(answer.split(' ')[1]));
    });
    socket.on('error', reject);
  });
}

describe('headers', () => {
  const host = new URL(app.baseUrl).host;
  const payload = JSON.stringify(mapping);
  const base = ['Host', host, 'Content-Length', String(Buffer.byteLength(payload))];
  const json = ['Content-Type', 'application/json'];
  const bearer = ['Authorization', `Bearer ${acme.writer}`];

  it.each<[string, number, string[]]>([
    ['a credential twice', 401, [...bearer, ...bearer, ...json]],
    ['two credentials of two tenants', 401, [...bearer, 'Authorization', `Bearer ${globex.writer}`, ...json]],
    ['an X-API-Key twice', 401, ['X-API-Key', acme.writer, 'X-API-Key', globex.writer, ...json]],
    ['a media type twice', 415, [...bearer, ...json, ...json]],
    ['a tenant twice', 403, [...bearer, ...json, 'X-Tenant-Id', 'acme', 'X-Tenant-Id', 'globex']],
    [
      'a quoted idempotency key twice',
      400,
      [...bearer, ...json, 'Idempotency-Key', '"a"', 'Idempotency-Key', '"a"'],
    ],
    ['a trace context that is none', 201, [...bearer, ...json, 'traceparent', '00-xyz-1-01']],
    ['a client request id with odd bytes', 201, [...bearer, ...json, 'x-ms-client-request-id', 'a b\u00ff']],
    ['a client address that is none', 201, [...bearer, ...json, 'X-Forwarded-For', '1.2.3.4.5:99, ::::']],
    ['a user agent of other bytes', 201, [...bearer, ...json, 'User-Agent', 'caf\u00e9 \u00ff\u00fe']],
    ['a Host that is none', 400, ['Host', 'a b[', ...base.slice(2), ...bearer, ...json]],
  ])('with %s are answered %i', async (_what, status, lines) => {
    const sent = lines[0] === 'Host' ? lines : [...base, ...lines];
    const answer = await sendLines('POST', '/api/v1/mappings', sent, payload);
    expect(answer.status).toBe(status);
    expect(answer.body).not.toMatch(INSIDE);
  });

  it.each([
    ['1.2.3.4', '1.2.3.4'],
    ['9.9.9.9, 1.2.3.4:5678', '1.2.3.4'],
    ['9.9.9.9, 1.2.3.4:5678, 10.40.0.5:40001', '1.2.3.4'],
    ['9.9.9.9, unknown, 10.40.0.5', null],
    ['10.40.3.7', '10.40.3.7'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', null],
    ['256.1.1.1', null],
  ])('X-Forwarded-For: %s is audited as %s', async (forwarded, address) => {
    const answer = await post('/mappings', {
      key: acme.reader,
      body: mapping,
      headers: { 'x-forwarded-for': forwarded },
    });
    expect((await auditEntryOf(answer))['ip_address'] ?? null).toBe(address);
  });

  it('that are invalid HTTP are refused by the host with 4xx', async () => {
    expect(await sendBytes('GET /api/v1/mappings HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n')).toBe(400);
    expect(
      await sendBytes(`GET /api/v1/mappings HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`),
    ).toBe(431);
    expect(
      await sendBytes(
        'POST /api/v1/mappings HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
      ),
    ).toBe(400);
    expect(await sendBytes('GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n')).toBe(400);
  });

  it('with a trace and a client’s request id are answered', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const answer = await post('/mappings', {
      raw: '{',
      headers: { traceparent: `00-${trace}-b7ad6b7169203331-01`, 'x-ms-client-request-id': 'mine-1' },
    });
    expect(answer.body.trace_id).toBe(trace);
    expect(answer.headers.get('traceparent')).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
    expect(answer.headers.get('x-ms-client-request-id')).toBe('mine-1');
  });
});

describe('an If-Match', () => {
  it('is required to replace, must be well-formed, and must name the present version', async () => {
    const { body: plan } = await post('/routing-plans', { body: { plan_name: `plan-${newId()}` } });
    const replace = (headers: Record<string, string>): Promise<TestAnswer> =>
      app.request('PUT', `/api/v1/routing-plans/${plan.id}`, {
        key: acme.writer,
        body: { plan_name: plan.plan_name },
        headers,
      });
    for (const headers of [{}, { 'if-match': '7' }, { 'if-match': '"unclosed' }] as Record<
      string,
      string
    >[]) {
      const answer = await replace(headers);
      expectRefusal(answer, 400, 'INVALID_REQUEST');
      expect(pointersOf(answer)).toEqual(['header/If-Match']);
    }
    for (const tag of ['"999"', `W/${plan.etag}`])
      expectRefusal(await replace({ 'if-match': tag }), 412, 'PRECONDITION_FAILED');
    expect((await replace({ 'if-match': plan.etag })).status).toBe(200);
  });
});

it('no log line contains what was sent', async () => {
  await until(
    () => app.admin.core`select from ops.outbox`,
    (rows) => rows.length === 0,
  );
  expect(app.logLines.filter((line) => line.includes(RAW))).toEqual([]);
  expect(app.logLines.filter((line) => line.includes('request-failed'))).toEqual([]);
});
