import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { expiringTables } from '../functions/expiring-tables.ts';
import { inDeletingBatch } from '../shared/domains/retention/deleting-batch.ts';
import { until } from './harness/app.ts';
import { openHoldScene } from './harness/hold-scene.ts';

const {
  app,
  runJob,
  hold,
  placeHold,
  release,
  newOrchestration,
  newMapping,
  newAnalysis,
  newMetric,
  archived,
  exists,
  recordStays,
  mappingStays,
  blobStays,
} = await openHoldScene();
const { acme, globex, operator } = app.keys;
const DAY_MS = 86_400_000;
const BLOB_YEARS_DAYS = 7 * 366;

/** One row of each table that expires, with an id for a hold. */
const TABLES = [
  {
    table: 'storage_records',
    column: 'id',
    kind: 'storage_records',
    add: async () => {
      const { record_id: recordId } = await newMapping();
      await archived(recordId);
      return recordId ?? '';
    },
  },
  {
    table: 'mapper_requests',
    column: 'request_id',
    kind: 'mappings',
    add: async () => (await newMapping(undefined, false))['request_id'] ?? '',
  },
  {
    table: 'orchestration_requests',
    column: 'request_id',
    kind: 'orchestrations',
    add: async () => (await newOrchestration())['request_id'] ?? '',
  },
  {
    table: 'analysis_requests',
    column: 'request_id',
    kind: 'analyses',
    add: async () => (await newAnalysis())['request_id'] ?? '',
  },
  { table: 'analysis_metrics', column: 'id', kind: 'analysis_metrics', add: newMetric },
] as const;

it('every table that expires is tested here', () => {
  expect(TABLES.map(({ table, column, kind }) => [table, column, kind])).toEqual(
    expiringTables.map(({ table, idColumn, dataType }) => [table, idColumn, dataType]),
  );
});

describe.each(TABLES)('a hold on $table', ({ table, column, kind, add }) => {
  it.each([
    ['by kind', (_id: string) => ({ data_types: [kind] })],
    ['by id, in upper case', (id: string) => ({ record_ids: [id.toUpperCase()] })],
    ['by kind and id', (id: string) => ({ data_types: [kind], record_ids: [id] })],
    ['of everything', (_id: string) => ({})],
    ['by time', (_id: string) => ({ created_from: new Date(Date.now() - 60_000).toISOString() })],
  ])('%s keeps expired rows until it is released', async (_how, scope) => {
    const id = await add();
    const holdId = await placeHold(scope(id));
    const run = await runJob('records-expire', 92);
    expect(run['kept_on_hold']).toBeGreaterThanOrEqual(1);
    expect(await exists(table, column, id)).toBe(true);
    await release(holdId);
    await runJob('records-expire', 92);
    expect(await exists(table, column, id)).toBe(false);
  });

  it('with another kind, id or time keeps none of them', async () => {
    const id = await add();
    const other = await add();
    const holds = [
      await placeHold({ data_types: ['audit_logs'] }),
      await placeHold({ record_ids: [other] }),
      await placeHold({ created_to: '2020-01-01T00:00:00Z' }),
      await placeHold({ created_from: new Date(Date.now() + DAY_MS).toISOString() }),
    ];
    await runJob('records-expire', 92);
    expect([await exists(table, column, id), await exists(table, column, other)]).toEqual([false, true]);
    for (const holdId of holds) await release(holdId);
  });
});

describe('a hold that names an orchestration', () => {
  it('covers the mappings and records made from it, before and after, and nothing else', async () => {
    const orchestration = await newOrchestration();
    const before = await newMapping(orchestration['request_id']);
    const pending = await newMapping(orchestration['request_id'], false);
    const holdId = await placeHold({ record_ids: [orchestration['request_id']?.toUpperCase()] });
    const after = await newMapping(orchestration['request_id']);
    const other = await newMapping();
    for (const mapping of [before, after, other]) await archived(mapping['record_id']);
    await runJob('records-expire', 92);
    expect(await Promise.all([before, after, other].map(recordStays))).toEqual([true, true, false]);
    expect(await Promise.all([before, pending, after, other].map(mappingStays))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    await release(holdId);
    await runJob('records-expire', 92);
    expect(await Promise.all([before, after].map(recordStays))).toEqual([false, false]);
    expect(await Promise.all([before, pending, after].map(mappingStays))).toEqual([false, false, false]);
  });

  it('by its job_id covers the same', async () => {
    const orchestration = await newOrchestration('async');
    const mapping = await newMapping(orchestration['request_id']);
    const name = await archived(mapping['record_id']);
    const holdId = await placeHold({ record_ids: [orchestration['job_id']] });
    await runJob('records-expire', 92);
    expect(await recordStays(mapping)).toBe(true);
    // Also the blob, if the record is deleted.
    await app.admin.core`delete from storage_records where id = ${mapping['record_id'] ?? ''}`;
    await runJob('blobs-tier', BLOB_YEARS_DAYS);
    expect(await blobStays(name)).toBe(true);
    await release(holdId);
  });

  it('keeps rows in the partition of kept rows and rows in their day’s partition', async () => {
    const orchestration = await newOrchestration();
    const mapping = await newMapping(orchestration['request_id']);
    await archived(mapping['record_id']);
    await app.admin
      .core`update storage_records set partition_day = '9999-12-31' where id = ${mapping['record_id'] ?? ''}`;
    const holdId = await placeHold({ record_ids: [orchestration['request_id']] });
    await runJob('records-expire', 92);
    expect(await recordStays(mapping)).toBe(true);
    await release(holdId);
  });
});

describe('a blob whose record has expired', () => {
  it.each([
    ['its record', (ids: Record<string, string>) => ids['record']],
    ['its mapping', (ids: Record<string, string>) => ids['mapping']],
    ['the orchestration that it was mapped from', (ids: Record<string, string>) => ids['orchestration']],
  ])(
    'stays under a hold that names %s, in upper or lower case, until it is released',
    async (_what, pick) => {
      const orchestration = await newOrchestration();
      const mapping = await newMapping(orchestration['request_id']);
      const name = await archived(mapping['record_id']);
      const other = await archived((await newMapping())['record_id']);
      await runJob('records-expire', 92);
      expect([await recordStays(mapping), await mappingStays(mapping)]).toEqual([false, false]);
      const id = pick({
        record: mapping['record_id'] ?? '',
        mapping: mapping['request_id'] ?? '',
        orchestration: orchestration['request_id'] ?? '',
      });
      const holdId = await placeHold({ record_ids: [id?.toUpperCase()] });
      await runJob('blobs-tier', BLOB_YEARS_DAYS);
      expect([await blobStays(name), await blobStays(other)]).toEqual([true, false]);
      await release(holdId);
      await runJob('blobs-tier', BLOB_YEARS_DAYS + 2);
      expect(await blobStays(name)).toBe(false);
    },
  );

  it.each(['storage_records', 'mappings'])('stays under a hold of %s', async (kind) => {
    const mapping = await newMapping();
    const name = await archived(mapping['record_id']);
    await runJob('records-expire', 92);
    const holdId = await placeHold({ data_types: [kind] });
    await runJob('blobs-tier', BLOB_YEARS_DAYS);
    expect(await blobStays(name)).toBe(true);
    await release(holdId);
    await runJob('blobs-tier', BLOB_YEARS_DAYS + 2);
    expect(await blobStays(name)).toBe(false);
  });
});

describe('a hold that names an id', () => {
  it('is refused if the id would hold nothing, with the place of each such id', async () => {
    const mapping = await newMapping();
    const answer = await hold({ record_ids: [randomUUID(), mapping['record_id'], randomUUID()] });
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [
        { pointer: '/scope/record_ids/0', detail: 'names nothing that could be held' },
        { pointer: '/scope/record_ids/2', detail: 'names nothing that could be held' },
      ],
    ]);
    const [row] = await app.admin
      .core`select count(*)::int as n from legal_holds where scope->'record_ids' ? ${mapping['record_id'] ?? ''}`;
    expect(row?.['n']).toBe(0);
  });

  it('of another tenant is refused like an unknown one', async () => {
    const { record_id: recordId } = await newMapping();
    const answer = await hold({ record_ids: [recordId] }, globex.owner);
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, '/scope/record_ids/0']);
  });

  it('of a record in another day’s partition than its id’s is accepted', async () => {
    const { record_id: recordId } = await newMapping();
    await archived(recordId);
    await app.admin
      .core`update storage_records set partition_day = partition_day + 1 where id = ${recordId ?? ''}`;
    await app.admin.core`delete from ops.blobs where record_id = ${recordId ?? ''}`;
    await release(await placeHold({ record_ids: [recordId] }));
  });

  it('shows the id in lower case, also if it came in upper case', async () => {
    const { record_id: recordId } = await newMapping();
    const { body } = await hold({ record_ids: [recordId?.toUpperCase()] });
    expect(body.scope.record_ids).toEqual([recordId]);
    await release(body.hold_id);
  });
});

describe('an operator’s hold on a tenant', () => {
  const holds = '/api/v1/platform/tenants/acme/legal-holds';
  const place = (scope: unknown, path = holds) =>
    app.request('POST', path, { key: operator, body: { name: 'case', reason: 'litigation', scope } });

  it('is the tenant’s, holds like its own, and is told in the trails of both', async () => {
    const { request_id: id } = await newMapping(undefined, false);
    const placed = await place({ record_ids: [id?.toUpperCase()] });
    const own = `/api/v1/legal-holds/${placed.body.hold_id}`;
    expect((await app.request('GET', own, { key: acme.owner })).body).toEqual(placed.body);
    await runJob('records-expire', 92);
    expect(await exists('mapper_requests', 'request_id', id)).toBe(true);
    const released = await app.request('POST', `${holds}/${placed.body.hold_id}/release`, { key: operator });
    expect([released.status, released.body.released_by]).toEqual([200, placed.body.placed_by]);
    await runJob('records-expire', 92);
    expect(await exists('mapper_requests', 'request_id', id)).toBe(false);
    const entries = () => app.admin
      .core`select tenant_id, actor, action, details ->> 'tenant_id' as of from audit_logs
      where resource_id = ${String(placed.body.hold_id)} order by action, tenant_id`;
    const told = (action: string) =>
      ['acme', 'platform'].map((tenant_id) => ({
        tenant_id,
        actor: placed.body.placed_by,
        action,
        of: 'acme',
      }));
    expect(await until(entries, ({ length }) => length === 4)).toEqual([
      ...told('legal_hold.created'),
      ...told('legal_hold.released'),
    ]);
  });

  it('is refused like the tenant’s own for an id that would hold nothing; of others there is none', async () => {
    const refused = await place({ record_ids: [randomUUID()] });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, '/scope/record_ids/0']);
    const ofGlobex = await hold({}, globex.owner);
    const path = `${holds}/${ofGlobex.body.hold_id}`;
    expect((await app.request('GET', path, { key: operator })).status).toBe(404);
    expect((await app.request('POST', `${path}/release`, { key: operator })).status).toBe(404);
    const nobodys = await place({}, '/api/v1/platform/tenants/nobody/legal-holds');
    expect([nobodys.status, nobodys.body.code]).toEqual([404, 'NOT_FOUND']);
  });

  it('waits for a batch that deletes, and then names nothing that was deleted', async () => {
    const { request_id: id } = await newMapping(undefined, false);
    const { placed } = await inDeletingBatch(app.services.crossTenant.core, async (transaction) => {
      const waiting = place({ record_ids: [id] });
      await until(
        () => app.admin.core`select from pg_locks where relation = 'legal_holds'::regclass and not granted`,
        ({ length }) => length === 1,
      );
      await transaction.query('delete from mapper_requests where request_id = $1', [id ?? '']);
      return { placed: waiting };
    });
    expect((await placed).status).toBe(400);
  });
});

describe('a scope that was not written by this API', () => {
  const insert = async (scope: unknown): Promise<string> => {
    const id = randomUUID();
    await app.admin.core`
      insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values ('acme', ${id}, 'case', 'r', ${app.admin.core.json(scope as never)}, 'test')`;
    return id;
  };

  it('holds what it names with any spelling of the id', async () => {
    const mapping = await newMapping();
    await archived(mapping['record_id']);
    const holdId = await insert({ record_ids: [`{${mapping['record_id']?.toUpperCase() ?? ''}}`] });
    await runJob('records-expire', 92);
    expect(await recordStays(mapping)).toBe(true);
    await release(holdId);
  });

  it.each([
    ['what it names are no ids', { record_ids: ['no id', 5] }],
    ['its ids are no list', { record_ids: 'all' }],
    ['its kinds are no list', { data_types: 'storage_records' }],
    ['its times are none', { created_from: 'once upon a time', created_to: '' }],
  ])('holds everything if it cannot be parsed: %s', async (_what, scope) => {
    const mapping = await newMapping();
    await archived(mapping['record_id']);
    const metric = await newMetric();
    const holdId = await insert(scope);
    await runJob('records-expire', 92);
    expect([await recordStays(mapping), await exists('analysis_metrics', 'id', metric)]).toEqual([
      true,
      true,
    ]);
    await release(holdId);
    await runJob('records-expire', 92);
    expect(await recordStays(mapping)).toBe(false);
  });
});
