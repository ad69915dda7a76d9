import { describe, expect, it } from 'vitest';
import { startTestApp, type TestAnswer } from './harness/app.ts';

// Mappings, orchestrations and analyses are completed by the same code, so all three have the same tests.
const app = await startTestApp();
const { acme, globex } = app.keys;

const PAIRS = 20;
/** Pairs at once. They are few, so that a busy machine's pools do not affect the test. */
const PAIRS_AT_ONCE = 5;

interface Kind {
  readonly path: string;
  readonly request: object;
  readonly response: object;
  /** Another response, which must not replace the first one. */
  readonly other: object;
  /** The same response as `response`, with another order of members and another spelling of numbers. */
  readonly respelled: string;
  readonly responses: string;
}

const mapped = {
  taxonomy: ['PII.Identifier.SSN', 'PII.Contact.Email'],
  scores: { 'PII.Identifier.SSN': 0.9, 'PII.Contact.Email': 0.5 },
  confidence: 0.9,
  processing_time_ms: 120,
  model_used: 'mapper-8b',
};
const analysed = {
  explanation: 'Two days went unseen.',
  remediation_steps: [{ step: 'Turn the detector on.', weight: 10 }],
  policy_recommendations: [],
  confidence: 0.9,
  processing_time_ms: 1200,
  model_used: 'analysis-7b',
};
const orchestrated = { total_processing_time_ms: 40, aggregated_payload: { score: 0.4, n: 100 } };

const KINDS: readonly Kind[] = [
  {
    path: 'mappings',
    request: { detector: 'regex-pii', source_data: 'SSN 123-45-6789', model_version: 'v1' },
    response: mapped,
    other: { ...mapped, confidence: 0.8 },
    respelled: `{"model_used":"mapper-8b","processing_time_ms":1.2e2,"confidence":9e-1,
      "scores":{"PII.Contact.Email":0.50,"PII.Identifier.SSN":0.9},"taxonomy":["PII.Identifier.SSN","PII.Contact.Email"]}`,
    responses: 'mapper_responses',
  },
  {
    path: 'orchestrations',
    request: { content: 'Call me', content_type: 'text', policy_bundle: 'default', environment: 'prod' },
    response: orchestrated,
    other: { ...orchestrated, total_processing_time_ms: 41 },
    respelled: `{"aggregated_payload":{"n":1e2,"score":0.40},"total_processing_time_ms":40.0}`,
    responses: 'orchestration_responses',
  },
  {
    path: 'analyses',
    request: { period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' }, metrics: { a: 1 } },
    response: analysed,
    other: { ...analysed, explanation: 'Another.' },
    respelled: `{"confidence":0.90,"model_used":"analysis-7b","processing_time_ms":12e2,"policy_recommendations":[],
      "remediation_steps":[{"weight":1e1,"step":"Turn the detector on."}],"explanation":"Two days went unseen."}`,
    responses: 'analysis_responses',
  },
];

async function open(kind: Kind, key = acme.writer): Promise<string> {
  const answer = await app.request('POST', `/api/v1/${kind.path}`, { key, body: kind.request });
  expect(answer.status).toBe(201);
  return String(answer.body.request_id);
}

const respond = (kind: Kind, id: string, body: object, key = acme.writer): Promise<TestAnswer> =>
  app.request('PUT', `/api/v1/${kind.path}/${id}/response`, { key, body });

/** Sends two requests at once for each of many open requests. Returns the pairs of answers. */
async function inPairs(
  kind: Kind,
  send: (id: string) => Promise<readonly [TestAnswer, TestAnswer]>,
): Promise<{ ids: readonly string[]; pairs: readonly (readonly [TestAnswer, TestAnswer])[] }> {
  const ids: string[] = [];
  const pairs: (readonly [TestAnswer, TestAnswer])[] = [];
  while (ids.length < PAIRS) {
    const some = await Promise.all(Array.from({ length: PAIRS_AT_ONCE }, () => open(kind)));
    pairs.push(...(await Promise.all(some.map(send))));
    ids.push(...some);
  }
  return { ids, pairs };
}

// An orchestration without results covers nothing: its success is 206.
const SUCCESSES = [200, 206];

describe.each(KINDS)('a response of $path', (kind) => {
  it('that comes twice at once gets the same answer twice', async () => {
    const { ids, pairs } = await inPairs(kind, (id) =>
      Promise.all([respond(kind, id, kind.response), respond(kind, id, kind.response)]),
    );
    for (const [one, two] of pairs) {
      expect(SUCCESSES).toContain(one.status);
      expect([two.status, two.body]).toEqual([one.status, one.body]);
    }
    const rows = await app.admin
      .core`select from ${app.admin.core(kind.responses)} where request_id = any(${ids}::uuid[])`;
    expect(rows).toHaveLength(PAIRS);
  });

  it('that comes at the same time as another one: one is stored, the other is 409', async () => {
    const { pairs } = await inPairs(kind, (id) =>
      Promise.all([respond(kind, id, kind.response), respond(kind, id, kind.other)]),
    );
    for (const pair of pairs) {
      const [winner, loser] = pair.toSorted((one, two) => one.status - two.status);
      expect(SUCCESSES).toContain(winner?.status);
      expect([loser?.status, loser?.body.code]).toEqual([409, 'CONFLICT']);
    }
  });

  it('is the same with another order of members and another spelling of numbers', async () => {
    const id = await open(kind);
    const first = await respond(kind, id, kind.response);
    const again = await app.request('PUT', `/api/v1/${kind.path}/${id}/response`, {
      key: acme.writer,
      raw: kind.respelled,
    });
    expect([again.status, again.body]).toEqual([first.status, first.body]);
  });

  it('is answered again after the tenant’s free allowance is spent', async () => {
    const id = await open(kind, globex.writer);
    const first = await respond(kind, id, kind.response, globex.writer);
    const left = await app.admin.billing`
      update free_tier_usage set usage_limit = 0 where tenant_id = 'globex' returning usage_type`;
    expect(left.length).toBeGreaterThan(0);
    const again = await respond(kind, id, kind.response, globex.writer);
    expect([again.status, again.body]).toEqual([first.status, first.body]);
    expect((await respond(kind, id, kind.other, globex.writer)).status).toBe(409);
    await app.admin.billing`update free_tier_usage set usage_limit = 1000 where tenant_id = 'globex'`;
  });

  it('is refused for an unknown request and for another tenant’s', async () => {
    const id = await open(kind);
    const foreign = await respond(kind, id, kind.response, globex.writer);
    expect([foreign.status, foreign.body.code]).toEqual([404, 'NOT_FOUND']);
    expect(SUCCESSES).toContain((await respond(kind, id, kind.response)).status);
  });
});
