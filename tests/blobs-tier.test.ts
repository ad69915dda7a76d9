import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { deleteAfter, type RetentionClass } from '../shared/domains/retention/tiers.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { acme, operator } = app.keys;
const DAY_MS = 86_400_000;
const started = new Date();
const later = (days: number): Date => new Date(started.getTime() + days * DAY_MS);

const CONTAINER = 'mapper-outputs';

/** Makes a blob and its row in `ops.blobs`, both created now. */
async function blob(retentionClass: RetentionClass, name: string = randomUUID()): Promise<string> {
  await app.services.blobs.create(CONTAINER, name, Buffer.from('{}'), {});
  await app.admin.core`
    insert into ops.blobs (tenant_id, container_name, blob_name, retention_class, access_tier, sha256, bytes, created_at,
      tier_changed_at, next_check_at, delete_after)
    values ('acme', ${CONTAINER}, ${name}, ${retentionClass}, 'Hot', '\\x00', 2, ${started}, ${started}, ${started},
      ${deleteAfter(retentionClass, started)})`;
  return name;
}

/** A blob's tier in the storage; undefined if the blob is deleted. */
async function tierOf(name: string): Promise<string | undefined> {
  const client = (await app.services.blobs.service()).getContainerClient(CONTAINER).getBlobClient(name);
  if (!(await client.exists())) return undefined;
  return (await client.getProperties()).accessTier;
}

async function tier(
  days: number,
): Promise<{ deleted: number; kept_on_hold: number; details: Record<string, number> }> {
  const answer = await app.request('POST', '/api/v1/platform/jobs/blobs-tier/runs', {
    key: operator,
    body: { as_of: later(days).toISOString() },
  });
  expect([answer.status, answer.body.status]).toEqual([200, 'completed']);
  return answer.body;
}

const booked = async (name: string) => {
  const [row] = await app.admin.core`select access_tier, deleted_at from ops.blobs where blob_name = ${name}`;
  return row;
};

describe('blobs', () => {
  it('move to Cool at 30 days and to Archive at 90, and are deleted after seven years, each step once', async () => {
    const name = await blob('mapping_results');
    await tier(29);
    expect(await tierOf(name)).toBe('Hot');
    await tier(30);
    expect([await tierOf(name), (await booked(name))?.['access_tier']]).toEqual(['Cool', 'Cool']);
    expect((await tier(30)).details).not.toHaveProperty('moved_to_cool');
    await tier(91);
    expect(await tierOf(name)).toBe('Archive');
    await tier(7 * 365 - 1);
    expect(await tierOf(name)).toBe('Archive');
    expect((await tier(7 * 366)).deleted).toBe(1);
    expect(await tierOf(name)).toBeUndefined();
    expect((await booked(name))?.['deleted_at']).not.toBeNull();
    expect((await tier(7 * 366)).deleted).toBe(0);
  });

  it('do not enter a tier whose minimum stay is longer than their retention', async () => {
    // Half a year of training data is not long enough for the archive's 180 days after the ninetieth.
    const name = await blob('training_data');
    await tier(30);
    expect(await tierOf(name)).toBe('Cool');
    await tier(120);
    expect(await tierOf(name)).toBe('Cool');
    expect((await tier(190)).deleted).toBe(1);
    expect(await tierOf(name)).toBeUndefined();
  });

  it('catch up after any downtime', async () => {
    const name = await blob('mapping_results');
    await tier(400);
    expect(await tierOf(name)).toBe('Archive');
    await tier(7 * 366);
  });

  it('stay under a hold, and are deleted a day after its release', async () => {
    const recordId = randomUUID();
    const name = await blob('mapping_results', `mappings/acme/2026/11/24/${recordId}.json`);
    const hold = await app.request('POST', '/api/v1/legal-holds', {
      key: acme.owner,
      body: { name: 'case', reason: 'litigation', scope: { record_ids: [recordId] } },
    });
    const run = await tier(7 * 366);
    expect([run.deleted, run.kept_on_hold]).toEqual([0, 1]);
    expect(await tierOf(name)).toBeDefined();
    await app.request('POST', `/api/v1/legal-holds/${hold.body.hold_id}/release`, {
      key: acme.owner,
      body: {},
    });
    expect((await tier(7 * 366 + 2)).deleted).toBe(1);
    expect(await tierOf(name)).toBeUndefined();
  });

  it('stay while their record exists', async () => {
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
      () => app.admin.core`select blob_name from ops.blobs where blob_name like ${`%${recordId}%`}`,
      (rows) => rows.length === 1,
    );
    const name = String(row?.['blob_name']);
    const run = await tier(7 * 366);
    expect([run.deleted, run.details['record_stays']]).toEqual([0, 1]);
    await app.admin.core`delete from storage_records where id = ${recordId}`;
    expect((await tier(7 * 366 + 2)).deleted).toBe(1);
    expect(await tierOf(name)).toBeUndefined();
  });

  it('that are leased (as with immutability) stay until a later run', async () => {
    const name = await blob('backups');
    const lease = (await app.services.blobs.service())
      .getContainerClient(CONTAINER)
      .getBlobClient(name)
      .getBlobLeaseClient();
    await lease.acquireLease(-1);
    const run = await tier(366);
    expect(run.deleted).toBe(0);
    expect(await tierOf(name)).toBeDefined();
    await lease.releaseLease();
    expect((await tier(368)).deleted).toBe(1);
  });

  it('that are missing are counted and do not stop others', async () => {
    const name = await blob('mapping_results');
    await app.services.blobs.delete(CONTAINER, name);
    const other = await blob('mapping_results');
    expect((await tier(40)).details).toMatchObject({ missing: 1, moved_to_cool: 1 });
    expect(await tierOf(other)).toBe('Cool');
    const told = await until(
      () => app.admin.core`select from audit_logs where action = 'blob.missing'`,
      (rows) => rows.length >= 1,
    );
    expect(told.length).toBe(1);
  });
});
