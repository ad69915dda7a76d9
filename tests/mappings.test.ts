import { describe, expect, it } from 'vitest';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;

const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.97 },
  confidence: 0.97,
  processing_time_ms: 120,
  model_used: 'mapper-8b',
};
const mapping = { detector: 'regex-pii', source_data: 'SSN 123-45-6789', output: 'ssn', model_version: 'v1' };

describe('recording a mapping', () => {
  it('answers 201 with a record if it comes with its response', async () => {
    const answer = await app.request('POST', '/api/v1/mappings', {
      key: acme.writer,
      body: { ...mapping, response },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe(`/api/v1/mappings/${answer.body.request_id}`);
    expect(answer.body).toMatchObject({ status: 'completed', detector: 'regex-pii' });
    const [row] = await app.admin.core`select * from storage_records where id = ${answer.body.record_id}`;
    expect(row).toMatchObject({ tenant_id: 'acme', source_id: answer.body.request_id, encrypted: true });
    expect(Buffer.from(row?.['source_data']).toString('latin1')).not.toContain('123-45');
    const read = await app.request('GET', answer.headers.get('location') ?? '', { key: acme.reader });
    expect(read.body).toMatchObject({ record_id: answer.body.record_id, response: { confidence: 0.97 } });
  });

  it('is invisible to a second tenant', async () => {
    const { body } = await app.request('POST', '/api/v1/mappings', {
      key: acme.writer,
      body: { ...mapping, response },
    });
    const other = await app.request('GET', `/api/v1/mappings/${body.request_id}`, { key: globex.reader });
    expect([other.status, other.body.code]).toEqual([404, 'NOT_FOUND']);
  });

  it('accepts the response later, once, and the same one again', async () => {
    const { body } = await app.request('POST', '/api/v1/mappings', { key: acme.writer, body: mapping });
    expect(body.status).toBe('pending');
    const path = `/api/v1/mappings/${body.request_id}/response`;
    const first = await app.request('PUT', path, { key: acme.writer, body: response });
    expect([first.status, first.body.status]).toEqual([200, 'completed']);
    const again = await app.request('PUT', path, { key: acme.writer, body: response });
    expect([again.status, again.body.record_id]).toEqual([200, first.body.record_id]);
    const other = await app.request('PUT', path, {
      key: acme.writer,
      body: { ...response, confidence: 0.1 },
    });
    expect([other.status, other.body.code]).toEqual([409, 'CONFLICT']);
    const unknown = await app.request('PUT', path, { key: globex.writer, body: response });
    expect(unknown.status).toBe(404);
  });

  it('reports every fault at once, each where it is', async () => {
    const body = {
      detector: 7,
      model_version: '',
      colour: 'red',
      response: { ...response, confidence: 2, taxonomy: [] },
    };
    const answer = await app.request('POST', '/api/v1/mappings', { key: acme.writer, body });
    expect([answer.status, answer.body.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const pointers = answer.body.errors.map((fault: { pointer: string }) => fault.pointer).sort();
    expect(pointers).toEqual([
      '/colour',
      '/detector',
      '/model_version',
      '/response/confidence',
      '/response/taxonomy',
      '/source_data',
    ]);
  });

  it('refuses a label that the taxonomy does not know', async () => {
    const body = {
      ...mapping,
      response: { ...response, taxonomy: ['PII.Nonsense'], scores: { 'PII.Nonsense': 1 } },
    };
    const answer = await app.request('POST', '/api/v1/mappings', { key: acme.writer, body });
    expect(answer.body.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual([
      '/response/taxonomy/0',
      '/response/scores/PII.Nonsense',
    ]);
  });
});

describe('the earlier answer to an equal request', () => {
  const ask = (body: object) =>
    app.request('POST', '/api/v1/mappings', { key: acme.writer, body: { ...mapping, ...body } });

  it('is given to a request without a response, with any order of its output’s members', async () => {
    await ask({ output: { kind: 'ssn', at: [1, 2], more: { a: 1, b: 2 } }, response });
    const { body } = await until(
      () => ask({ output: { more: { b: 2, a: 1 }, at: [1, 2], kind: 'ssn' } }),
      (answer) => answer.body.known_response !== undefined,
    );
    expect(body.known_response).toMatchObject({ taxonomy: response.taxonomy, confidence: 0.97 });
    const other = await ask({ output: { more: { b: 2, a: 1 }, at: [2, 1], kind: 'ssn' } });
    expect([other.status, other.body.known_response]).toEqual([201, undefined]);
  });
});

describe('an idempotency key', () => {
  const send = (key: string, body: unknown) =>
    app.request('POST', '/api/v1/mappings', { key: acme.writer, body, headers: { 'idempotency-key': key } });

  it('gets the first answer again, quoted or bare, with any order of JSON members', async () => {
    const first = await send('order-1', { ...mapping, response });
    const again = await send(
      '"order-1"',
      Object.fromEntries(Object.entries({ response, ...mapping }).reverse()),
    );
    expect(again.status).toBe(201);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
  });

  it('is refused with another body', async () => {
    await send('order-2', mapping);
    const other = await send('order-2', { ...mapping, detector: 'other' });
    expect([other.status, other.body.code]).toEqual([422, 'IDEMPOTENCY_MISMATCH']);
  });

  it('creates one mapping with many requests at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => send('race-1', { ...mapping, response })),
    );
    expect(answers.every((answer) => [201, 409].includes(answer.status))).toBe(true);
    expect(answers.some((answer) => answer.status === 201)).toBe(true);
    const rows = await app.admin.core`select from mapper_requests where idempotency_key = 'race-1'`;
    expect(rows).toHaveLength(1);
  });

  it('is a tenant’s own', async () => {
    const body = { ...mapping, detector: 'shared-key' };
    const headers = { 'idempotency-key': 'mine' };
    const [first, second] = await Promise.all([
      app.request('POST', '/api/v1/mappings', { key: acme.writer, body, headers }),
      app.request('POST', '/api/v1/mappings', { key: globex.writer, body, headers }),
    ]);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(first.body.request_id).not.toBe(second.body.request_id);
  });
});

describe('a batch of mappings', () => {
  it('gives each item its own outcome', async () => {
    const items = [
      { ...mapping, response, idempotency_key: 'b-1' },
      { ...mapping, response, idempotency_key: 'b-1' },
      { ...mapping, detector: 'x', idempotency_key: 'b-1' },
      { ...mapping, wrong: true },
      { ...mapping, tenant_id: 'globex' },
      { ...mapping, tenant_id: 'acme' },
      { ...mapping, response: { ...response, taxonomy: ['Nope'] } },
    ];
    const answer = await app.request('POST', '/api/v1/mappings/batch', { key: acme.writer, body: { items } });
    expect(answer.status).toBe(207);
    expect(
      answer.body.items.map((item: { status: number; outcome: string }) => [item.status, item.outcome]),
    ).toEqual([
      [201, 'created'],
      [200, 'duplicate'],
      [422, 'invalid'],
      [400, 'invalid'],
      [403, 'refused'],
      [201, 'created'],
      [400, 'invalid'],
    ]);
    expect(answer.body.items[1].request_id).toBe(answer.body.items[0].request_id);
    const again = await app.request('POST', '/api/v1/mappings/batch', {
      key: acme.writer,
      body: { items: items.slice(0, 1) },
    });
    expect(again.body.items[0]).toMatchObject({ status: 200, outcome: 'duplicate' });
  });
});

describe('a list of mappings', () => {
  it('shows every row once, page by page, and never another tenant’s', async () => {
    for (let n = 0; n < 7; n++) {
      await app.request('POST', '/api/v1/mappings', {
        key: globex.writer,
        body: { ...mapping, detector: 'paged' },
      });
    }
    const seen: string[] = [];
    let path: string | undefined = '/api/v1/mappings?detector=paged&limit=3';
    while (path !== undefined) {
      const page = await app.request('GET', path, { key: globex.reader });
      expect(page.status).toBe(200);
      seen.push(...page.body.items.map((item: { request_id: string }) => item.request_id));
      path = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(new Set(seen).size).toBe(7);
    expect(seen).toHaveLength(7);
  });

  it('refuses a cursor that was changed or belongs to another tenant or filter', async () => {
    const page = await app.request('GET', '/api/v1/mappings?limit=1', { key: globex.reader });
    const next = new URL(/<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1] ?? '');
    const cursor = next.searchParams.get('cursor') ?? '';
    const flipped = cursor.slice(0, 5) + (cursor[5] === 'A' ? 'B' : 'A') + cursor.slice(6);
    for (const [key, query] of [
      [globex.reader, `limit=1&cursor=${flipped}`],
      [acme.reader, `limit=1&cursor=${cursor}`],
      [globex.reader, `limit=1&detector=x&cursor=${cursor}`],
    ]) {
      const answer = await app.request('GET', `/api/v1/mappings?${query}`, { key });
      expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, 'query/cursor']);
    }
  });
});

describe('the events of a write', () => {
  it('reach the broker and leave the outbox empty', async () => {
    await app.request('POST', '/api/v1/mappings', { key: acme.writer, body: { ...mapping, response } });
    await until(
      () => app.admin.core`select from ops.outbox`,
      (rows) => rows.length === 0,
    );
  });
});
