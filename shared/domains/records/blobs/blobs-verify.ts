import { z } from 'zod';
import { inParallel } from '../../../platform/blob/in-parallel.ts';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { log } from '../../../platform/log/log.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { findStoredRecords } from '../archive/archivable-records.ts';
import { archiveDocument } from '../archive/archive-document.ts';
import { blobEvent } from './blob-events.ts';
import { blobSha256 } from '../archive/blob-sha256.ts';
import type { BookedBlob } from './due-blobs.ts';
import { bookVerified, findNewest, findNext, stillBooked } from './verified-blobs.ts';

const BUDGET_MS = 4 * MINUTE_MS;
/** A batch is begun only while this much is left: seconds of storage calls. */
const BATCH_RESERVE_MS = 15_000;
const RESERVED_SHARE = 0.2;
/** Blobs compared in one batch. */
const BATCH_SIZE = 100;
/** Calls to the storage at once. */
const CALLS_AT_ONCE = 16;
/**
 * A blob is compared once it is this old: a storage that loses what it has taken loses it within seconds (Azurite, killed: five).
 * Compared sooner, it could be lost after the comparison.
 */
const SETTLED_MS = 10 * MINUTE_MS;
/** Blobs of the walk over all in one run: 24,000 a day, hourly. */
const ALL_A_RUN = 1_000;
const ACTOR = 'job:blobs-verify';

const position = z.object({
  newest: z.object({ at: z.string(), tenant: z.string(), name: z.string() }),
  all: z.object({ tenant: z.string(), container: z.string(), name: z.string() }),
});
type Position = z.output<typeof position>;

const START: Position = {
  newest: { at: '-infinity', tenant: '', name: '' },
  all: { tenant: '', container: '', name: '' },
};

/**
 * Compares blobs with the books: whether they are there, and have the bytes that were archived. Each blob is compared soon after
 * it was written, and again and again over time, some in each run. A blob that is missing is written again from its record,
 * byte for byte. What cannot be mended is counted, logged and told in the tenant's audit trail: a missing blob without its
 * record, and a blob with other bytes, which is never overwritten.
 */
export const blobsVerify: Job = { name: 'blobs-verify', budgetMs: BUDGET_MS, run };

async function run(job: JobRun): Promise<'completed' | 'partial'> {
  const reserve = Math.min(BATCH_RESERVE_MS, job.timeLeftMs() * RESERVED_SHARE);
  const before = new Date(job.now.getTime() - SETTLED_MS);
  job.progress.cutoff = before;
  const database = job.services.crossTenant.core;
  let at = (await job.position(position)) ?? START;
  // Saved after each batch: one that fails is compared again.
  const save = (changed: Partial<Position>): Promise<void> => job.savePosition((at = { ...at, ...changed }));
  // A blob that both walks meet is compared, and counted, once.
  const seen = new Set<string>();
  const keyOf = ({ tenantId, container, name }: BookedBlob): string => [tenantId, container, name].join(' ');
  for (;;) {
    if (job.timeLeftMs() <= reserve) return 'partial';
    const { blobs, next } = await findNewest(database, at.newest, before, BATCH_SIZE);
    if (next === undefined) break;
    for (const blob of blobs) seen.add(keyOf(blob));
    await verify(job, blobs);
    await save({ newest: next });
  }
  for (let compared = 0; compared < ALL_A_RUN; compared += BATCH_SIZE) {
    if (job.timeLeftMs() <= reserve) return 'partial';
    const { blobs, next } = await findNext(database, at.all, before, BATCH_SIZE);
    await verify(
      job,
      blobs.filter((blob) => !seen.has(keyOf(blob))),
    );
    await save({ all: next ?? START.all });
    if (next === undefined) break;
  }
  return 'completed';
}

type Found = 'sound' | 'missing' | 'changed';

async function verify(job: JobRun, blobs: readonly BookedBlob[]): Promise<void> {
  const found = await inParallel(blobs, CALLS_AT_ONCE, async (blob): Promise<Found> => {
    const sha256 = await blobSha256(job.services.blobs, blob.container, blob.name);
    if (sha256 === undefined) return 'missing';
    return sha256 === blob.sha256 ? 'sound' : 'changed';
  });
  job.progress.examined += blobs.length;
  for (const blob of blobs) job.progress.bytes += blob.bytes;
  const those = (outcome: Found): BookedBlob[] => blobs.filter((_, n) => found[n] === outcome);
  const database = job.services.crossTenant.core;
  const missing = await stillBooked(database, those('missing'));
  const changed = await stillBooked(database, those('changed'));
  const restored = await restore(job, missing);
  const lost = missing.filter((blob) => !restored.includes(blob));
  const told = [
    ...restored.map((blob) => blobEvent(ACTOR, blob, 'blob.restored', 'success')),
    ...lost.map((blob) => blobEvent(ACTOR, blob, 'blob.missing', 'failure')),
    ...changed.map((blob) => blobEvent(ACTOR, blob, 'blob.changed', 'failure')),
  ];
  await bookVerified(database, restored, told, job.now);
  for (const entry of told) job.services.publisher.publish(entry);
  report(job, 'restored', restored);
  report(job, 'missing', lost);
  report(job, 'changed', changed);
}

/** Writes missing blobs again whose records are there and give the same bytes. Answers those. */
async function restore(job: JobRun, missing: readonly BookedBlob[]): Promise<readonly BookedBlob[]> {
  const wanted = missing.flatMap(({ tenantId, recordId }) =>
    recordId === undefined ? [] : [{ tenant_id: tenantId, record_id: recordId }],
  );
  if (wanted.length === 0) return [];
  const records = await findStoredRecords(job.services.crossTenant.core, wanted);
  const byName = new Map(missing.map((blob) => [`${blob.tenantId}/${blob.name}`, blob]));
  const restored = await inParallel(records, CALLS_AT_ONCE, async (record) => {
    const document = archiveDocument(record);
    const sha256 = document.sha256.toString('hex');
    const blob = byName.get(`${record.tenant_id}/${document.name}`);
    if (blob?.sha256 !== sha256) return [];
    const metadata = { sha256, tenant_id: record.tenant_id, record_id: record.id };
    await job.services.blobs.create(blob.container, blob.name, document.bytes, metadata);
    return [blob];
  });
  return restored.flat();
}

function report(job: JobRun, what: 'restored' | 'missing' | 'changed', blobs: readonly BookedBlob[]): void {
  if (blobs.length === 0) return;
  const { details } = job.progress;
  details[what] = Number(details[what] ?? 0) + blobs.length;
  for (const blob of blobs) {
    const fields = { tenant_id: blob.tenantId, container: blob.container, blob: blob.name };
    if (what === 'restored') log.warn('blob-restored', fields);
    else log.error(`blob-${what}`, fields);
  }
}
