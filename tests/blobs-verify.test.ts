import { describe, expect, it, beforeEach } from 'vitest';
import { blobsTier } from '../shared/domains/records/blobs/blobs-tier.ts';
import { blobsVerify } from '../shared/domains/records/blobs/blobs-verify.ts';
import { runJob, type JobRun } from '../shared/platform/jobs/job.ts';
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

type Blobs = typeof app.services.blobs;

/** The storage, with some operations replaced by a test. */
const storageWith = (changed: Partial<Pick<Blobs, 'create' | 'delete' | 'describe'>>): Blobs => {
  const { blobs } = app.services;
  return {
    create: (...given: Parameters<Blobs['create']>) => blobs.create(...given),
    delete: (...given: Parameters<Blobs['delete']>) => blobs.delete(...given),
    describe: (...given: Parameters<Blobs['describe']>) => blobs.describe(...given),
    read: (...given: Parameters<Blobs['read']>) => blobs.read(...given),
    ...changed,
  } as never;
};

/** Runs the job as of some minutes from now. After 11 minutes every blob is old enough. */
const verify = (minutes = 11, blobs = app.services.blobs, job = blobsVerify) =>
  runJob({ ...app.services, blobs }, job, {
    asOf: new Date(Date.now() + minutes * 60_000),
    triggeredBy: 'test',
  });

/** Runs blobs-tier after the end of every blob's retention. */
const tier = (blobs = app.services.blobs) =>
  runJob({ ...app.services, blobs }, blobsTier, {
    asOf: new Date(Date.now() + 8 * 366 * 86_400_000),
    triggeredBy: 'test',
  });

/** Starts a run, and waits until it has ended or waits for a lock on `ops.blobs`. */
async function begin<T>(start: () => Promise<T>): Promise<{ run: Promise<T> }> {
  const run = start();
  let over = false;
  run.finally(() => (over = true)).catch(() => undefined);
  await until(
    () =>
      app.admin
        .core`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%ops.blobs%'`,
    (waiting) => over || waiting.length > 0,
  );
  return { run };
}

/** Whether the storage and `ops.blobs` agree about a blob. */
async function agreed(name: string): Promise<'there' | 'deleted' | 'not agreed'> {
  const [row] = await app.admin.core`select deleted_at from ops.blobs where blob_name = ${name}`;
  const isBooked = row?.['deleted_at'] === null;
  if (isBooked !== ((await read(name)) !== undefined)) return 'not agreed';
  return isBooked ? 'there' : 'deleted';
}

const told = (action: string, name: string) =>
  until(
    () =>
      app.admin
        .core`select from audit_logs where action = ${action} and resource_id = ${`${CONTAINER}/${name}`}`,
    (rows) => rows.length > 0,
  );

describe('a run that compares blobs', () => {
  // A run examines every recent blob, so each test uses its own.
  beforeEach(() => app.admin.core`delete from ops.blobs`.then(() => undefined));

  it('writes a missing one again from its record, byte for byte, with an audit entry', async () => {
    const { recordId, name, bytes } = await make();
    await app.admin.core`update ops.blobs set access_tier = 'Cool' where blob_name = ${name}`;
    await app.services.blobs.delete(CONTAINER, name);
    // Too young: the storage could still lose it.
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

  it('reports one with other bytes, and does not overwrite it', async () => {
    const { name } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    await app.services.blobs.create(CONTAINER, name, Buffer.from('{}'), {});
    expect((await verify()).details).toEqual({ changed: 1 });
    expect((await read(name))?.toString()).toBe('{}');
    await told('blob.changed', name);
    await app.admin.core`update ops.blobs set deleted_at = now() where blob_name = ${name}`;
  });

  it('reports a missing one whose record is deleted, or would give other bytes', async () => {
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

  it('does not report one that was deleted regularly', async () => {
    const { name } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    await app.admin.core`update ops.blobs set deleted_at = now() where blob_name = ${name}`;
    expect((await verify()).details).toEqual({});
  });

  it('compares old blobs again', async () => {
    const { name, bytes } = await make();
    expect((await verify()).details).toEqual({});
    await app.services.blobs.delete(CONTAINER, name);
    const runs = [await verify(), await verify()];
    expect(runs.map((run) => run.details['restored'] ?? 0).sort()).toEqual([0, 1]);
    expect((await read(name))?.equals(bytes)).toBe(true);
  });

  it.each([
    ['other bytes', 'changed', () => Buffer.from('{}')],
    ['the same bytes', undefined, (bytes: Buffer) => bytes],
  ])('does not restore one that was written meanwhile with %s', async (_what, outcome, bytesOf) => {
    const { name, bytes } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    const storage = storageWith({
      async create(...given) {
        await app.services.blobs.create(CONTAINER, name, bytesOf(bytes), {});
        return app.services.blobs.create(...given);
      },
    });
    expect((await verify(11, storage)).details).toEqual(outcome === undefined ? {} : { [outcome]: 1 });
    expect((await read(name))?.equals(bytesOf(bytes))).toBe(true);
  });

  it('does not restore one that is deleted regularly meanwhile', async () => {
    const { name, recordId } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    const deleting: Promise<unknown>[] = [];
    const storage = storageWith({
      async create(...given) {
        await app.admin.core`delete from storage_records where id = ${recordId}`;
        deleting.push((await begin(tier)).run);
        return app.services.blobs.create(...given);
      },
    });
    await verify(11, storage);
    expect(await Promise.all(deleting)).toMatchObject([{ deleted: 1 }]);
    expect(await agreed(name)).toBe('deleted');
  });

  it('does not report one as missing that is just being deleted regularly', async () => {
    const { name, recordId } = await make();
    await app.admin.core`delete from storage_records where id = ${recordId}`;
    const verifying: ReturnType<typeof verify>[] = [];
    const storage = storageWith({
      async delete(...given) {
        const outcome = await app.services.blobs.delete(...given);
        verifying.push((await begin(verify)).run);
        return outcome;
      },
    });
    expect(await tier(storage)).toMatchObject({ deleted: 1 });
    expect((await Promise.all(verifying)).map(({ details }) => details)).toEqual([{}]);
    expect(await agreed(name)).toBe('deleted');
  });

  it('has time for old blobs even if many are new', async () => {
    const { name, bytes } = await make();
    expect((await verify()).details).toEqual({});
    await app.services.blobs.delete(CONTAINER, name);
    await app.admin.core`
      insert into ops.blobs (tenant_id, container_name, blob_name, retention_class, access_tier, sha256, bytes, created_at,
        tier_changed_at, next_check_at, delete_after)
      select 'acme', ${CONTAINER}, 'new-' || n, 'backups', 'Archive', '\\x00', 1, now(), now(), now(), now() + interval '1 year'
        from generate_series(1, 900) n`;
    const storage = storageWith({
      describe: (container, blob) =>
        blob.startsWith('new-')
          ? Promise.resolve({ archived: true, metadata: { sha256: '00' } })
          : app.services.blobs.describe(container, blob),
    });
    // Time for seven of the ten batches.
    let left = 9;
    const short = {
      ...blobsVerify,
      run: (run: JobRun) => blobsVerify.run({ ...run, timeLeftMs: () => --left }),
    };
    const run = await verify(11, storage, short);
    expect([run.status, run.details]).toEqual(['partial', { restored: 1 }]);
    expect((await read(name))?.equals(bytes)).toBe(true);
    // New blobs get the rest of the time.
    expect(run.examined).toBeGreaterThan(400);
  });

  it('without time, as after its lock was lost, compares nothing', async () => {
    await make();
    const timeless = {
      ...blobsVerify,
      run: (run: JobRun) => blobsVerify.run({ ...run, timeLeftMs: () => 0 }),
    };
    expect(await verify(11, app.services.blobs, timeless)).toMatchObject({ status: 'partial', examined: 0 });
    expect((await verify()).examined).toBeGreaterThan(0);
  });

  it('that fails in its walk over all blobs continues before the failed batch', async () => {
    const { name, bytes } = await make();
    expect((await verify()).details).toEqual({});
    await app.services.blobs.delete(CONTAINER, name);
    const storage = storageWith({ describe: () => Promise.reject(new Error('the storage is away')) });
    await expect(verify(11, storage)).rejects.toThrow('the storage is away');
    expect((await verify()).details).toEqual({ restored: 1 });
    expect((await read(name))?.equals(bytes)).toBe(true);
  });

  it('that fails continues before the failed batch', async () => {
    const { name, bytes } = await make();
    await app.services.blobs.delete(CONTAINER, name);
    const storage = storageWith({ describe: () => Promise.reject(new Error('the storage is away')) });
    await expect(verify(11, storage)).rejects.toThrow('the storage is away');
    expect((await verify()).details).toEqual({ restored: 1 });
    expect((await read(name))?.equals(bytes)).toBe(true);
  });
});
