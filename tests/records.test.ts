import { createHash, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ARCHIVE_REQUESTED, newEvent } from '../shared/platform/bus/events.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;
const SECRET = 'The patient’s number is 078-05-1120';

const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.97 },
  confidence: 0.97,
  processing_time_ms: 120,
  model_used: 'mapper-8b',
};

async function record(more: Record<string, unknown> = {}): Promise<{ recordId: string; requestId: string }> {
  const { status, body } = await app.request('POST', '/api/v1/mappings', {
    key: acme.writer,
    body: { detector: 'regex-pii', source_data: SECRET, model_version: 'v1', response, ...more },
  });
  expect(status).toBe(201);
  return { recordId: body.record_id, requestId: body.request_id };
}

const read = (id: string, key = acme.reader): Promise<TestAnswer> =>
  app.request('GET', `/api/v1/records/${id}`, { key });
const archived = async (id: string): Promise<Record<string, string>> =>
  (
    await until(
      () => read(id),
      ({ body }) => typeof body.archived_at === 'string',
    )
  ).body;

async function blobOf(id: string): Promise<{ name: string; bytes: Buffer | undefined }> {
  const [row] = await app.admin.core`select created_at from storage_records where id = ${id}`;
  const day = (row?.['created_at'] as Date).toISOString().slice(0, 10).replaceAll('-', '/');
  const name = `mappings/acme/${day}/${id}.json`;
  return { name, bytes: await app.services.blobs.read('mapper-outputs', name) };
}

const askToArchive = (id: string, tenantId = 'acme') =>
  app.services.bus.publish([newEvent(ARCHIVE_REQUESTED, { tenant_id: tenantId, record_id: id }, new Date())]);

describe('the evidence of a record', () => {
  it('is a blob at its day’s path, with its hash in the record and a sealed source', async () => {
    const { recordId } = await record();
    const shown = await archived(recordId);
    const { name, bytes } = await blobOf(recordId);
    if (bytes === undefined) throw new Error(`no blob ${name}`);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(shown['blob_sha256']);
    expect(shown['blob_url']).toContain(name);
    const document = JSON.parse(bytes.toString('utf8'));
    expect(document).toMatchObject({ id: recordId, tenant_id: 'acme', mapped_data: { confidence: 0.97 } });
    for (const encoding of ['utf8', 'base64', 'hex'] as const)
      expect(bytes.toString('utf8')).not.toContain(Buffer.from('078-05-1120').toString(encoding));
  });

  it('is written once, also if it is requested again', async () => {
    const { recordId } = await record();
    const first = await archived(recordId);
    await askToArchive(recordId);
    await askToArchive(recordId);
    const { recordId: next } = await record();
    await archived(next);
    expect((await read(recordId)).body).toMatchObject({
      archived_at: first['archived_at'],
      blob_sha256: first['blob_sha256'],
    });
    const trail = await until(
      () =>
        app.admin.core`select from audit_logs where resource_id = ${recordId} and action = 'record.archived'`,
      (rows) => rows.length > 0,
    );
    expect(trail).toHaveLength(1);
  });

  it('never replaces other bytes, and the record is then not marked archived', async () => {
    const id = randomUUID();
    const { recordId } = await record();
    await archived(recordId);
    const { name } = await blobOf(recordId);
    await app.services.blobs.delete('mapper-outputs', name);
    await app.services.blobs.create('mapper-outputs', name, Buffer.from(id), {});
    await app.admin
      .core`update storage_records set archived_at = null, blob_url = null where id = ${recordId}`;
    await askToArchive(recordId);
    await until(
      () =>
        app.admin
          .core`select from audit_logs where resource_id = ${recordId} and action = 'record.archive_conflict'`,
      (rows) => rows.length === 1,
    );
    expect((await app.services.blobs.read('mapper-outputs', name))?.toString()).toBe(id);
    expect((await read(recordId)).body.archived_at).toBeNull();
  });

  it('that already exists after a crash is recognised by its bytes', async () => {
    const { recordId } = await record();
    const first = await archived(recordId);
    await app.admin
      .core`update storage_records set archived_at = null, blob_url = null where id = ${recordId}`;
    await app.admin.core`delete from ops.blobs where blob_name like ${`%${recordId}%`}`;
    await askToArchive(recordId);
    expect((await archived(recordId))['blob_sha256']).toBe(first['blob_sha256']);
  });

  it('is requested again if the request was lost', async () => {
    const { recordId } = await record();
    await archived(recordId);
    await app.services.blobs.delete('mapper-outputs', (await blobOf(recordId)).name);
    // Only records that have waited for a while are requested again.
    await app.admin.core`
      update storage_records set archived_at = null, blob_url = null, created_at = created_at - interval '3 hours'
       where id = ${recordId}`;
    await app.host.invoke('records-expire');
    await archived(recordId);
  });

  it('of another tenant’s record is not written for a request with the own tenant’s name', async () => {
    const { recordId } = await record();
    await archived(recordId);
    await app.admin.core`update storage_records set archived_at = null where id = ${recordId}`;
    await askToArchive(recordId, 'globex');
    const { recordId: behind } = await record();
    await archived(behind);
    expect((await read(recordId)).body.archived_at).toBeNull();
  });
});

describe('a record', () => {
  it('can be read only by its tenant', async () => {
    const { recordId } = await record();
    expect((await read(recordId)).body).toMatchObject({
      id: recordId,
      encrypted: true,
      detector: 'regex-pii',
    });
    expect((await read(recordId)).body).not.toHaveProperty('source_data');
    expect((await read(recordId, globex.owner)).status).toBe(404);
    expect((await read('not-a-uuid')).status).toBe(400);
    expect((await read(randomUUID())).status).toBe(404);
  });

  it('gives its source only to keys with the permission, and audits each read', async () => {
    const { recordId } = await record();
    const source = (key: string) => app.request('GET', `/api/v1/records/${recordId}/source`, { key });
    const own = await source(acme.owner);
    expect([own.status, own.body.source_data]).toEqual([200, SECRET]);
    expect(own.body.sha256).toBe(createHash('sha256').update(SECRET).digest('hex'));
    expect((await source(acme.reader)).status).toBe(403);
    expect((await source(acme.writer)).status).toBe(403);
    expect((await source(globex.owner)).status).toBe(404);
    const reads = await until(
      () => app.admin.core`select details from audit_logs
                            where resource_id = ${recordId} and action = 'record.source_read'`,
      (rows) => rows.length > 0,
    );
    expect(reads).toHaveLength(1);
    expect(JSON.stringify(reads)).not.toContain('078-05');
  });

  it('does not give its source if the read cannot be audited', async () => {
    const { recordId } = await record();
    await app.admin.core`revoke insert on ops.outbox from comply_app`;
    try {
      const answer = await app.request('GET', `/api/v1/records/${recordId}/source`, { key: acme.owner });
      expect(answer.status).toBeGreaterThanOrEqual(500);
      expect(JSON.stringify(answer.body)).not.toContain('078-05');
    } finally {
      await app.admin.core`grant insert on ops.outbox to comply_app`;
    }
  });

  it('that has expired cannot be read, before any timer runs', async () => {
    const { recordId, requestId } = await record();
    await app.admin.core`update storage_records set expires_at = now() where id = ${recordId}`;
    await app.admin.core`update mapper_requests set expires_at = now() where request_id = ${requestId}`;
    expect((await read(recordId)).status).toBe(404);
    expect((await app.request('GET', `/api/v1/records/${recordId}/source`, { key: acme.owner })).status).toBe(
      404,
    );
    expect((await app.request('GET', `/api/v1/mappings/${requestId}`, { key: acme.owner })).status).toBe(404);
    const { body } = await app.request('GET', '/api/v1/records?limit=500', { key: acme.reader });
    expect(body.items.map((item: { id: string }) => item.id)).not.toContain(recordId);
  });
});

describe('the list of records', () => {
  const list = async (query: string, key = acme.reader): Promise<{ id: string }[]> => {
    const { status, body } = await app.request('GET', `/api/v1/records?${query}`, { key });
    expect(status).toBe(200);
    return body.items;
  };

  it.each([1, 2, 3, 50])('shows each record once, in pages of %d, while more are added', async (limit) => {
    const detector = `walk-${limit}`;
    const made: string[] = [];
    for (let n = 0; n < 7; n++) made.push((await record({ detector })).recordId);
    // Some are in other partitions: of older days, and of kept rows.
    await app.admin.core`
      update storage_records set created_at = created_at - interval '2 days', partition_day = '9999-12-31'
       where id = any(${made.slice(0, 2)})`;
    const seen: string[] = [];
    let path: string | undefined = `/api/v1/records?detector=${detector}&limit=${limit}`;
    while (path !== undefined) {
      const page: TestAnswer = await app.request('GET', path, { key: acme.reader });
      seen.push(...page.body.items.map((item: { id: string }) => item.id));
      await record({ detector });
      const next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1];
      path = next === undefined ? undefined : next.replace(app.baseUrl, '');
    }
    expect([...seen].sort()).toEqual([...made].sort());
    expect(seen.slice(-2).sort()).toEqual(made.slice(0, 2).sort());
  });

  it('can be filtered by detector, model, label, archive and time', async () => {
    const { recordId } = await record({ detector: 'narrow', model_version: 'v77' });
    await archived(recordId);
    const ids = async (query: string) => (await list(`detector=narrow&${query}`)).map((item) => item.id);
    expect(await ids('model_version=v77')).toEqual([recordId]);
    expect(await ids('model_version=v78')).toEqual([]);
    expect(await ids('label=PII.Identifier.SSN')).toEqual([recordId]);
    expect(await ids('label=PII.Contact.Email')).toEqual([]);
    expect(await ids('archived=true')).toEqual([recordId]);
    expect(await ids('archived=false')).toEqual([]);
    expect(await ids(`from=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    expect(await ids(`from=${new Date(Date.now() - 60_000).toISOString()}`)).toEqual([recordId]);
    expect(await list('detector=narrow', globex.reader)).toEqual([]);
  });
});
