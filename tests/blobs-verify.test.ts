import { describe, expect, it, beforeEach } from 'vitest';
import { blobsVerify } from '../shared/domains/records/blobs/blobs-verify.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { acme } = app.keys;
const CONTAINER = 'mapper-outputs';

/** A record with its blob. */
async function make(): Promise<{ recordId: string; name: string; bytes: Buffer }> {
  const { body } = await app.request('POST', '/api/v1/mappings', {
    key: acme.writer,
    body: {
      detector: 'regex-pii',
      source_data: 'x',
      model_version: 'v1',
      response: {
        taxonomy: ['PII.Identifier.SSN'],
        scores: { 'PII.Identifier.SSN': 0.9 },
        confidence: 0.9,
        processing_time_ms: 1,
        model_used: 'm',
      },
    },
  });
  const recordId: string = body.record_id;
  const [row] = await until(
    () => app.admin.core`select blob_name from ops.blobs where record_id = ${recordId}`,
    (rows) => rows.length === 1,
  );
  const name = String(row?.['blob_name']);
  return { recordId, name, bytes: (await read(name)) ?? Buffer.alloc(0) };
}

const read = (name: string) => app.services.blobs.read(CONTAINER, name);

/** A run once every blob has been there for long enough, or sooner. */
const verify = (minutes = 11) =>
  runJob(app.services, blobsVerify, {
    asOf: new Date(Date.now() + minutes * 60_000),
    triggeredBy: 'test',
  });

const told = (action: string, name: string) =>
  until(
    () =>
      app.admin
        .core`select from audit_logs where action = ${action} and resource_id = ${`${CONTAINER}/${name}`}`,
    (rows) => rows.length > 0,
  );

describe('a run that compares blobs', () => {
  // A run looks at every recent blob: each test has its own.
  beforeEach(() => app.admin.core`delete from ops.blobs`.then(() => undefined));

  it('writes a missing one again from its record, byte for byte, and tells the tenant', async () => {
    const { recordId, name, bytes } = await make();
    await app.admin.core`update ops.blobs set access_tier = 'Cool' where blob_name = ${name}`;
    await app.services.blobs.delete(CONTAINER, name);
    // Too young: the storage may not have settled.
    expect((await verify(0)).details).not.toHaveProperty('restored');
    const run = await verify();
    expect([run.status, run.details]).toEqual(['completed', { restored: 1 }]);
    expect((await read(name))?.equals(bytes)).toBe(true);
    const [booked] = await app.admin.core`
      select b.access_tier as blob, r.access_tier as record from ops.blobs b, storage_records r
       where b.blob_name = ${name} and r.id = ${recordId}`;
    expect({ ...booked }).toEqual({ blob: 'Hot', record: 'Hot' });
    await told('blob.restored', name);
    expect((await verify()).details).toEqual({});
  });

  it('reports one with other bytes, and overwrites nothing', async () => {
    const { name } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    await app.services.blobs.create(CONTAINER, name, Buffer.from('{}'), {});
    expect((await verify()).details).toEqual({ changed: 1 });
    expect((await read(name))?.toString()).toBe('{}');
    await told('blob.changed', name);
    await app.admin.core`update ops.blobs set deleted_at = now() where blob_name = ${name}`;
  });

  it('reports a missing one whose record is gone, or would give other bytes', async () => {
    const [gone, edited] = [await make(), await make()];
    await app.admin.core`delete from storage_records where id = ${gone.recordId}`;
    await app.admin.core`update storage_records set detector = 'other' where id = ${edited.recordId}`;
    for (const { name } of [gone, edited]) await app.services.blobs.delete(CONTAINER, name);
    expect((await verify()).details).toEqual({ missing: 2 });
    for (const { name } of [gone, edited]) {
      expect(await read(name)).toBeUndefined();
      await told('blob.missing', name);
      await app.admin.core`update ops.blobs set deleted_at = now() where blob_name = ${name}`;
    }
  });

  it('says nothing of one that was deleted as it should be', async () => {
    const { name } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    await app.admin.core`update ops.blobs set deleted_at = now() where blob_name = ${name}`;
    expect((await verify()).details).toEqual({});
  });

  it('comes back to blobs that it has compared before', async () => {
    const { name, bytes } = await make();
    expect((await verify()).details).toEqual({});
    await app.services.blobs.delete(CONTAINER, name);
    const runs = [await verify(), await verify()];
    expect(runs.map((run) => run.details['restored'] ?? 0).sort()).toEqual([0, 1]);
    expect((await read(name))?.equals(bytes)).toBe(true);
  });

  it('that fails keeps its place before the batch that failed', async () => {
    const { name, bytes } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    const blobs = { describe: () => Promise.reject(new Error('the storage is away')) } as never;
    const asOf = new Date(Date.now() + 11 * 60_000);
    await expect(
      runJob({ ...app.services, blobs }, blobsVerify, { asOf, triggeredBy: 'test' }),
    ).rejects.toThrow('the storage is away');
    expect((await verify()).details).toEqual({ restored: 1 });
    expect((await read(name))?.equals(bytes)).toBe(true);
  });
});
