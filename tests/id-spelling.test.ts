import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  newEvent,
  ARCHIVE_REQUESTED,
  AUDIT_RECORDED,
  USAGE_RECORDED,
} from '../shared/platform/bus/events.ts';
import { readApiDocument } from './harness/api-document.ts';
import { until, type TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { takeTour } from './harness/tour.ts';

// Two spellings of a UUID are the same id on every route and in every event.

const { app } = await startBillingApp({ webhooks: false });
const { acme } = app.keys;
const { operations } = await readApiDocument(app);

const UUID = /(?<=\/)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\/|$)/g;
const UPPER = /[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}/g;
const shouted = (path: string): string => path.replaceAll(UUID, (id) => id.toUpperCase());
const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.9 },
  confidence: 0.9,
  processing_time_ms: 1,
  model_used: 'm',
};
const mapping = { detector: 'regex-pii', source_data: 'x', model_version: 'v1', response };
const orchestration = {
  content: 'text',
  content_type: 'text',
  policy_bundle: 'default',
  environment: 'prod',
};
const result = { detector: 'regex-pii', status: 'success', processing_time_ms: 1, confidence: 1 };

const post = (path: string, body: unknown, key?: string): Promise<TestAnswer> =>
  app.request('POST', `/api/v1/${path}`, {
    key: acme.owner,
    body,
    ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }),
  });
const get = (path: string): Promise<TestAnswer> => app.request('GET', `/api/v1/${path}`, { key: acme.owner });
const make = async (path: string, body: unknown): Promise<Record<string, string>> => {
  const answer = await post(path, body);
  expect([path, answer.status]).toEqual([path, 201]);
  return answer.body;
};
const publish = (type: string, data: Readonly<Record<string, unknown>>): Promise<void> =>
  app.services.bus.publish([newEvent(type, { tenant_id: 'acme', ...data }, new Date())]);

describe('an id in upper case', () => {
  it('in the path of every operation finds the same as in lower case, and is answered in lower case', async () => {
    const stops = await takeTour(app, shouted);
    const asked = stops.filter(({ path = '' }) => (path.match(UPPER) ?? []).length > 0);
    for (const { operation, expected, answer } of asked) {
      expect([operation, answer.status]).toEqual([operation, expected]);
      const told = `${JSON.stringify(answer.body)} ${answer.headers.get('location') ?? ''}`;
      expect([operation, told.match(UPPER) ?? []]).toEqual([operation, []]);
    }
    const withId = operations.filter(({ parameters }) =>
      parameters.some((parameter) => parameter.in === 'path' && parameter.schema['format'] === 'uuid'),
    );
    expect(withId.length).toBeGreaterThan(30);
    const visited = new Set(asked.map(({ operation }) => operation));
    expect(withId.map(({ id }) => id).filter((id) => !visited.has(id))).toEqual([]);
  });

  it('is the same evidence: an analysis that names a record with it is in the record’s lineage', async () => {
    const { record_id: record = '' } = await make('mappings', mapping);
    const { request_id: analysis } = await make('analyses', {
      period: { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' },
      metrics: { coverage: 0.5 },
      evidence_refs: [record.toUpperCase()],
    });
    const { body } = await get(`lineage/record/${record.toUpperCase()}`);
    expect(body.root.id).toBe(record);
    expect(body.edges).toContainEqual({ from: record, to: analysis, relation: 'evidence_for' });
  });

  it('is the same resource and user in an audit event, and in the audit trail’s filters', async () => {
    const [resource, user, actor] = [randomUUID(), randomUUID(), randomUUID()];
    await publish(AUDIT_RECORDED, {
      action: 'thing.seen',
      resource_type: 'thing',
      resource_id: resource.toUpperCase(),
      user_id: user.toUpperCase(),
      actor: actor.toUpperCase(),
    });
    const read = (filter: string) => get(`audit-logs?action=thing.seen&${filter}`);
    const { body } = await until(
      () => read(`resource_id=${resource}`),
      (answer) => answer.body.items.length === 1,
    );
    expect(body.items).toMatchObject([{ resource_id: resource, user_id: user, actor }]);
    for (const [name, id] of Object.entries({ resource_id: resource, user_id: user, actor }))
      for (const spelled of [id, id.toUpperCase()])
        expect([name, (await read(`${name}=${spelled}`)).body.items.length]).toEqual([name, 1]);
  });

  it('is the same user and resource in a usage event', async () => {
    const [user, thing] = [randomUUID(), randomUUID()];
    for (const spell of [(id: string) => id, (id: string) => id.toUpperCase()])
      await publish(USAGE_RECORDED, {
        user_id: spell(user),
        resource_id: spell(thing),
        usage_type: 'spelled',
        usage_amount: 1,
      });
    const rows = await until(
      () => app.admin.billing`select user_id, resource_id from usage_records where usage_type = 'spelled'`,
      (found) => found.length === 2,
    );
    expect(rows.map((row) => ({ ...row }))).toEqual(
      Array.from({ length: 2 }, () => ({ user_id: user, resource_id: thing })),
    );
  });

  it('is the same record in a request to archive it: its blob has one name', async () => {
    const { record_id: record = '' } = await make('mappings', mapping);
    const blobsOf = () => app.admin.core`select blob_name from ops.blobs where record_id = ${record}`;
    const [first] = await until(blobsOf, (rows) => rows.length > 0);
    expect(first?.['blob_name']).toContain(`/${record}.json`);
    await app.admin.core`delete from ops.blobs where record_id = ${record}`;
    await app.admin
      .core`update storage_records set archived_at = null, blob_sha256 = null where id = ${record}`;
    await publish(ARCHIVE_REQUESTED, { record_id: record.toUpperCase() });
    const again = await until(blobsOf, (rows) => rows.length > 0);
    expect(again).toEqual([first]);
  });

  it('is the same orchestration in the items of a batch', async () => {
    const { request_id: id = '' } = await make('orchestrations', orchestration);
    const item = { ...mapping, orchestration_request_id: id.toUpperCase() };
    const batch = await post('mappings/batch', { items: [item] });
    const made = await get(`mappings/${batch.body.items[0].request_id}`);
    expect(made.body.orchestration_request_id).toBe(id);
  });
});

describe('a repeated request under its Idempotency-Key', () => {
  const expectReplay = (first: TestAnswer, again: TestAnswer): void => {
    expect(first.headers.has('idempotency-replayed')).toBe(false);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([first.status, 'true']);
    expect(again.body).toEqual(first.body);
  };

  it('is the same request with its path’s id in upper case, and another one with another id', async () => {
    const [one, two] = [
      await make('orchestrations', orchestration),
      await make('orchestrations', orchestration),
    ];
    const key = randomUUID();
    const add = (id = '') => post(`orchestrations/${id}/detector-results`, { results: [result] }, key);
    const first = await add(one['request_id']);
    expect(first.status).toBe(201);
    expectReplay(first, await add(one['request_id']?.toUpperCase()));
    expect((await add(two['request_id'])).status).toBe(422);
  });

  it('is the same request with an id of its body in upper case, and another one with another id', async () => {
    const [one, two] = [
      await make('orchestrations', orchestration),
      await make('orchestrations', orchestration),
    ];
    const key = randomUUID();
    const map = (id = '') => post('mappings', { ...mapping, orchestration_request_id: id }, key);
    const first = await map(one['request_id']);
    expect(first.status).toBe(201);
    expectReplay(first, await map(one['request_id']?.toUpperCase()));
    expect((await map(two['request_id'])).status).toBe(422);
  });

  it.each<[string, string, object, object, object]>([
    ['a mapping', 'mappings', mapping, { processing_mode: 'sync', metadata: {} }, { priority: 'high' }],
    ['a resource', 'routing-plans', { plan_name: randomUUID() }, { is_active: true }, { is_active: false }],
  ])(
    'is the same request with its defaults written out, but not with other values: %s',
    async (_what, path, body, same, other) => {
      const key = randomUUID();
      const first = await post(path, body, key);
      expect(first.status).toBe(201);
      expectReplay(first, await post(path, { ...body, ...same }, key));
      expect((await post(path, { ...body, ...other }, key)).status).toBe(422);
      expectReplay(first, await post(path, body, key));
    },
  );

  it('is also the same as an item of a batch, and as a whole batch', async () => {
    const [one, two] = [
      await make('orchestrations', orchestration),
      await make('orchestrations', orchestration),
    ];
    const [itemKey, batchKey] = [randomUUID(), randomUUID()];
    const itemOf = (id = '', more: object = {}) => ({
      ...mapping,
      orchestration_request_id: id,
      idempotency_key: itemKey,
      ...more,
    });
    const batch = (items: readonly object[], key?: string) => post('mappings/batch', { items }, key);
    const lower = one['request_id'] ?? '';
    const first = await batch([itemOf(lower)]);
    const [{ request_id: made }] = first.body.items;
    for (const item of [itemOf(lower.toUpperCase()), itemOf(lower, { metadata: {} })])
      expect((await batch([item])).body.items).toMatchObject([{ outcome: 'duplicate', request_id: made }]);
    expect((await batch([itemOf(two['request_id'])])).body.items).toMatchObject([
      { status: 422, code: 'IDEMPOTENCY_MISMATCH' },
    ]);
    const { idempotency_key: _key, ...alone } = itemOf(lower.toUpperCase());
    const single = await post('mappings', alone, itemKey);
    expect([single.status, single.body.request_id]).toEqual([201, made]);

    const whole = await batch([{ ...alone, orchestration_request_id: lower }, { wrong: 1 }], batchKey);
    expectReplay(whole, await batch([alone, { wrong: 1 }], batchKey));
    for (const items of [
      [alone, { wrong: 2 }],
      [alone],
      [alone, { wrong: 1 }, alone],
      [itemOf(lower), { wrong: 1 }],
      [{ ...alone, orchestration_request_id: two['request_id'] }, { wrong: 1 }],
    ])
      expect((await batch(items, batchKey)).status).toBe(422);
  });
});
