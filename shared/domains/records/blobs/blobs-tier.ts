import type { BlobStore } from '../../../platform/blob/blob-store.ts';
import { inParallel } from '../../../platform/blob/in-parallel.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import type { JobProgress } from '../../../platform/jobs/run-ledger.ts';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { log } from '../../../platform/log/log.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { inDeletingBatch } from '../../retention/deleting-batch.ts';
import { bookDeletions, bookLooks, type BlobEntry } from './book-blobs.ts';
import { findDueBlobs, findKept, keyOf, type BookedBlob } from './due-blobs.ts';
import { lockBooked } from './lock-blobs.ts';
import { decideBlob, postponed, type BlobDecision } from '../../retention/tiers.ts';

/** Half of what the host allows a function: whatever is left waits for the next run. */
const BUDGET_MS = 5 * MINUTE_MS;
const BATCH_RESERVE_MS = 10_000;
const RESERVED_SHARE = 0.2;
/** Blobs looked at in one batch: seconds of storage calls at the most. */
const BATCH_SIZE = 200;
/** Deletions in one batch: no hold can be placed while it runs. */
const DELETION_BATCH = 50;
/** Calls to the storage at once. */
const CALLS_AT_ONCE = 16;

type Decided<A extends BlobDecision['action']> = {
  readonly blob: BookedBlob;
  readonly decision: Extract<BlobDecision, { action: A }>;
};

/**
 * Moves blobs to cooler tiers as they age, and deletes those whose class's retention is over: never under a hold or
 * immutability, nor while the record that they document stays. Works from the books, and lists no container.
 */
export const blobsTier: Job = { name: 'blobs-tier', budgetMs: BUDGET_MS, run };

async function run(job: JobRun): Promise<'completed' | 'partial'> {
  job.progress.cutoff = job.now;
  const reserve = Math.min(BATCH_RESERVE_MS, job.timeLeftMs() * RESERVED_SHARE);
  while (job.timeLeftMs() > reserve) {
    const due = await findDueBlobs(job.services.crossTenant.core, job.now, BATCH_SIZE);
    if (due.length === 0) return 'completed';
    job.progress.examined += due.length;
    const decided = due.map((blob) => ({ blob, decision: decideBlob(blob, job.now) }));
    await tierBlobs(
      job,
      decided.filter((one): one is Decided<'move' | 'wait'> => one.decision.action !== 'delete'),
    );
    const over = decided.filter((one) => one.decision.action === 'delete').map((one) => one.blob);
    for (let from = 0; from < over.length; from += DELETION_BATCH)
      await deleteBlobs(job, over.slice(from, from + DELETION_BATCH));
  }
  return 'partial';
}

async function tierBlobs(job: JobRun, decided: readonly Decided<'move' | 'wait'>[]): Promise<void> {
  const entries = await inParallel(decided, CALLS_AT_ONCE, (one) => tierBlob(job, one));
  publish(job, await bookLooks(job.services.crossTenant.core, entries, job.now));
  for (const { blob, tier } of entries) {
    if (tier === undefined) continue;
    tally(job.progress, `moved_to_${tier.toLowerCase()}`);
    job.progress.bytes += blob.bytes;
  }
}

async function tierBlob(job: JobRun, { blob, decision }: Decided<'move' | 'wait'>): Promise<BlobEntry> {
  const { nextCheckAt } = decision;
  if (decision.action === 'wait') return { blob, tier: undefined, nextCheckAt, missing: false };
  const outcome = await job.services.blobs.setTier(blob.container, blob.name, decision.tier);
  switch (outcome) {
    case 'moved':
      return { blob, tier: decision.tier, nextCheckAt, missing: false };
    case 'absent':
      log.error('blob-missing', { tenant_id: blob.tenantId, container: blob.container, blob: blob.name });
      tally(job.progress, 'missing');
      return { blob, tier: undefined, nextCheckAt: blob.deleteAfter, missing: true };
    case 'refused':
      log.warn('tier-refused', { tenant_id: blob.tenantId, blob: blob.name, tier: decision.tier });
      tally(job.progress, 'refused');
      return { blob, tier: undefined, nextCheckAt: postponed(job.now), missing: false };
    default:
      return outcome satisfies never;
  }
}

/** Deletes blobs whose time is over, while no hold can be placed; puts off those that must stay. */
async function deleteBlobs(job: JobRun, over: readonly BookedBlob[]): Promise<void> {
  const { deleted, stayed, entries } = await inDeletingBatch(
    job.services.crossTenant.core,
    async (transaction) => {
      const blobs = await lockBooked(transaction, over);
      const kept = await findKept(transaction, blobs);
      const outcomes = await inParallel(blobs, CALLS_AT_ONCE, async (blob) => ({
        blob,
        outcome: kept.get(keyOf(blob)) ?? (await deleteBlob(job.services.blobs, blob)),
      }));
      const gone = outcomes.filter(({ outcome }) => outcome === 'deleted').map(({ blob }) => blob);
      return {
        deleted: gone,
        stayed: outcomes.filter(({ outcome }) => outcome !== 'deleted'),
        entries: await bookDeletions(transaction, gone, job.now),
      };
    },
  );
  publish(job, entries);
  const looks = stayed.map(({ blob }) => ({
    blob,
    tier: undefined,
    nextCheckAt: postponed(job.now),
    missing: false,
  }));
  await bookLooks(job.services.crossTenant.core, looks, job.now);
  job.progress.deleted += deleted.length;
  for (const blob of deleted) job.progress.bytes += blob.bytes;
  for (const { outcome } of stayed) {
    tally(job.progress, outcome);
    if (outcome !== 'record_stays') job.progress.kept_on_hold += 1;
  }
}

/** A blob that is gone already was deleted by a run that could not write it down. */
async function deleteBlob(blobs: BlobStore, blob: BookedBlob): Promise<'deleted' | 'immutable'> {
  const outcome = await blobs.delete(blob.container, blob.name);
  return outcome === 'immutable' ? 'immutable' : 'deleted';
}

function publish(job: JobRun, entries: readonly OutboxEntry[]): void {
  for (const entry of entries) job.services.publisher.publish(entry);
}

function tally(progress: JobProgress, name: string): void {
  progress.details[name] = Number(progress.details[name] ?? 0) + 1;
}
