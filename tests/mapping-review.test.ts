import { beforeAll, describe, expect, it } from 'vitest';
import { hash } from 'node:crypto';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { readApiDocument } from './harness/api-document.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;

const CUTOFF = 0.7;
const mapping = { detector: 'regex-pii', source_data: 'SSN 123-45-6789', model_version: 'v1' };
const response = (confidence: number) => ({
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': confidence },
  confidence,
  processing_time_ms: 120,
  model_used: 'mapper-8b',
});
const unsure = response(0.69);
const sure = response(CUTOFF);

const post = (path: string, body: object, key = acme.writer, headers = {}): Promise<TestAnswer> =>
  app.request('POST', `/api/v1/${path}`, { key, body, headers });
const read = async (id: string) =>
  (await app.request('GET', `/api/v1/mappings/${id}`, { key: acme.reader })).body;
const review = (id: string, body: object, key = acme.owner, headers = {}): Promise<TestAnswer> =>
  post(`mappings/${id}/review`, body, key, headers);
async function record(body: object): Promise<string> {
  const answer = await post('mappings', body);
  expect(answer.status).toBe(201);
  return String(answer.body.request_id);
}

async function setCutoff(cutoff: number): Promise<void> {
  const path = '/api/v1/tenant-config';
  const before = await app.request('GET', path, { key: acme.owner });
  const answer = await app.request('PUT', path, {
    key: acme.owner,
    body: { config_data: { mapping_confidence_cutoff: cutoff } },
    headers: { 'if-match': before.body.etag },
  });
  expect(answer.status).toBe(200);
}

beforeAll(() => setCutoff(CUTOFF));

describe('a mapping less sure than the tenant’s cutoff', () => {
  it('needs review if it comes with its response; one at the cutoff does not', async () => {
    const [low, high] = await Promise.all([
      post('mappings', { ...mapping, response: unsure }),
      post('mappings', { ...mapping, response: sure }),
    ]);
    expect(low.body.review_status).toBe('needs_review');
    expect(high.body).not.toHaveProperty('review_status');
    expect(await read(low.body.request_id)).toMatchObject({
      status: 'completed',
      review_status: 'needs_review',
      review_note: null,
      reviewed_by: null,
      reviewed_at: null,
    });
    expect(await read(high.body.request_id)).toMatchObject({ status: 'completed', review_status: null });
  });

  it('needs review when it comes in a batch', async () => {
    const items = [unsure, sure].map((one) => ({ ...mapping, response: one }));
    const { body } = await post('mappings/batch', { items });
    const found = await Promise.all(
      body.items.map(({ request_id }: { request_id: string }) => read(request_id)),
    );
    expect(found.map(({ review_status }) => review_status)).toEqual(['needs_review', null]);
  });

  it('is reported in the outcome of a batch’s item, also of a repeated one', async () => {
    const items = [unsure, sure].map((one, n) => ({
      ...mapping,
      response: one,
      idempotency_key: `batch-review-${n}`,
    }));
    const told = ({ body }: TestAnswer): unknown[] =>
      body.items.map((item: Record<string, unknown>) => [item['outcome'], item['review_status']]);
    expect(told(await post('mappings/batch', { items }))).toEqual([
      ['created', 'needs_review'],
      ['created', undefined],
    ]);
    expect(told(await post('mappings/batch', { items }))).toEqual([
      ['duplicate', 'needs_review'],
      ['duplicate', undefined],
    ]);
    const { document } = await readApiDocument(app);
    const { schema } =
      document.paths['/api/v1/mappings/batch'].post.responses['207'].content['application/json'];
    expect(schema.properties.items.items.properties).toHaveProperty('review_status');
  });

  it('needs review when its response comes late, by the cutoff of that time', async () => {
    const [first, second] = [await record(mapping), await record(mapping)];
    expect(await read(first)).toMatchObject({ status: 'pending', review_status: null });
    const respond = (id: string) =>
      app.request('PUT', `/api/v1/mappings/${id}/response`, { key: acme.writer, body: unsure });
    expect((await respond(first)).body).toMatchObject({ status: 'completed', review_status: 'needs_review' });
    expect((await respond(first)).body).toMatchObject({ status: 'completed', review_status: 'needs_review' });
    await setCutoff(0.5);
    expect((await respond(second)).body).not.toHaveProperty('review_status');
    expect(await read(first)).toMatchObject({ review_status: 'needs_review' });
    await setCutoff(CUTOFF);
  });

  it('is listed with others that need review, newest first, page by page', async () => {
    const made: string[] = [];
    for (let n = 0; n < 3; n += 1)
      made.unshift(await record({ ...mapping, detector: 'waits', response: unsure }));
    await record({ ...mapping, detector: 'waits', response: sure });
    const listed: string[] = [];
    let next: string | undefined = '/api/v1/mappings?review_status=needs_review&detector=waits&limit=2';
    while (next !== undefined) {
      const page: TestAnswer = await app.request('GET', next, { key: acme.reader });
      listed.push(...page.body.items.map(({ request_id }: { request_id: string }) => request_id));
      next = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(listed).toEqual(made);
  });
});

describe('a review', () => {
  it('is settled once, with a note, and does not change the record', async () => {
    const id = await record({ ...mapping, response: unsure });
    const before = await read(id);
    const answer = await review(id, { decision: 'confirmed', note: 'Looked at by hand.' });
    expect([answer.status, answer.body]).toEqual([
      200,
      {
        request_id: id,
        status: 'completed',
        review_status: 'confirmed',
        review_note: 'Looked at by hand.',
        reviewed_by: expect.stringMatching(/^key:/),
        reviewed_at: expect.any(String),
      },
    ]);
    const after = await read(id);
    expect([after.record_id, after.response]).toEqual([before.record_id, before.response]);
    for (const decision of ['confirmed', 'rejected']) {
      const again = await review(id, { decision });
      expect([again.status, again.body.code]).toEqual([409, 'CONFLICT']);
    }
    const { body } = await app.request('GET', `/api/v1/mappings?review_status=confirmed`, {
      key: acme.reader,
    });
    expect(body.items.map((item: { request_id: string }) => item.request_id)).toContain(id);
    const [entry] = await until(
      () => app.admin.core`select action, details from audit_logs
                            where resource_id = ${id} and action = 'mapping.reviewed'`,
      (rows) => rows.length > 0,
    );
    expect(entry?.['details']).toEqual({ decision: 'confirmed', with_note: true });
  });

  it('is settled by one of two requests at once', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, () => record({ ...mapping, response: unsure })));
    for (const id of ids) {
      const answers = await Promise.all([
        review(id, { decision: 'confirmed' }),
        review(id, { decision: 'rejected' }),
      ]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
      const winner = answers.find(({ status }) => status === 200);
      expect((await read(id)).review_status).toBe(winner?.body.review_status);
    }
  });

  it('is answered again under its Idempotency-Key, and refused with another body', async () => {
    const id = await record({ ...mapping, response: unsure });
    const headers = { 'idempotency-key': `review-${id}` };
    const first = await review(id, { decision: 'rejected' }, acme.owner, headers);
    const again = await review(id, { decision: 'rejected' }, acme.owner, headers);
    expect([again.status, again.body, again.headers.get('idempotency-replayed')]).toEqual([
      200,
      first.body,
      'true',
    ]);
    expect((await review(id, { decision: 'confirmed' }, acme.owner, headers)).status).toBe(422);
  });

  it('is refused if none is needed, for an unknown mapping, and without the permission', async () => {
    const [pending, certain, waiting] = [
      await record(mapping),
      await record({ ...mapping, response: sure }),
      await record({ ...mapping, response: unsure }),
    ];
    const decision = { decision: 'confirmed' };
    expect((await review(pending, decision)).status).toBe(409);
    expect((await review(certain, decision)).status).toBe(409);
    expect((await review(waiting, decision, globex.owner)).status).toBe(404);
    expect((await review(waiting, decision, acme.writer)).status).toBe(403);
    const faulty = await review(waiting, { decision: 'perhaps', note: '', by: 'me' });
    const pointers = faulty.body.errors.map(({ pointer }: { pointer: string }) => pointer).sort();
    expect([faulty.status, pointers]).toEqual([400, ['/by', '/decision', '/note']]);
    const key = await app.makeKey('acme', [...PERMISSION_SETS.reader, 'mappings:review']);
    expect((await review(waiting, decision, key)).status).toBe(200);
  });
});

describe('the response of a mapping that comes late', () => {
  it('is refused with a label that the taxonomy does not know, and the mapping stays open', async () => {
    const id = await record(mapping);
    const path = `/api/v1/mappings/${id}/response`;
    const wrong = { ...sure, taxonomy: ['PII.Nonsense'], scores: { 'PII.Non/sense': 1 } };
    const answer = await app.request('PUT', path, { key: acme.writer, body: wrong });
    expect([answer.status, answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)]).toEqual([
      400,
      ['/taxonomy/0', '/scores/PII.Non~1sense'],
    ]);
    expect(await read(id)).toMatchObject({ status: 'pending', response: null });
    expect((await app.request('PUT', path, { key: acme.writer, body: sure })).status).toBe(200);
  });
});

describe('an entry of the audit trail', () => {
  it('has a hash over its outcome, its caller, its times and its details', async () => {
    const denied = await app.request('POST', '/api/v1/mappings', { key: acme.reader, body: mapping });
    expect(denied.status).toBe(403);
    await until(
      () => app.admin.core`select from audit_logs where tenant_id = 'acme' and outcome = 'denied'`,
      (rows) => rows.length > 0,
    );
    const { body } = await app.request('GET', '/api/v1/audit-logs?limit=100', { key: acme.owner });
    expect(body.items.some(({ outcome }: { outcome: string }) => outcome === 'denied')).toBe(true);
    for (const { id } of body.items) {
      const { body: entry } = await app.request('GET', `/api/v1/audit-logs/${id}`, { key: acme.owner });
      const { canonical, leaf_hash, azure_region, subscription_id, resource_group, received_at, ...said } =
        entry;
      // The canonical bytes always have six digits of a second.
      const created_at = said.created_at.replace(/\.(\d{3})Z$/, '.$1000Z');
      const facts = { ...said, created_at, tenant_id: 'acme', canonical_version: 1 };
      expect(JSON.parse(canonical)).toEqual(facts);
      expect(leaf_hash).toBe(hash('sha256', `\0${canonical}`));
      expect(
        [azure_region, subscription_id, resource_group, received_at].filter(Boolean).length,
      ).toBeGreaterThan(1);
    }
  });
});
