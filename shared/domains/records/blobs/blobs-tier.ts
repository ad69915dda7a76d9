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

/** Half of the host's time limit for a function. The next run does the rest. */
const BUDGET_MS = 5 * MINUTE_MS;
const BATCH_RESERVE_MS = 10_000;
const RESERVED_SHARE = 0.2;
/** Blobs in one batch: a few seconds of storage calls. */
const BATCH_SIZE = 200;
/** Deletions in one batch. It is small, because no hold can be placed while it runs. */
const DELETION_BATCH = 50;
/** Storage calls at once. */
const CALLS_AT_ONCE = 16;

type Decided<A extends BlobDecision['action']> = {
  readonly blob: BookedBlob;
  readonly decision: Extract<BlobDecision, { action: A }>;
};

/**
 * Moves blobs to cooler tiers as they age, and deletes those whose class's retention is over. It never deletes a blob that is
 * under a hold or immutable, or whose record still exists. It reads `ops.blobs` and lists no container.
 */
export const blobsTier: Job = { name: 'blobs-tier', budgetMs: BUDGET_MS, run: tierDueBlobs };

async function tierDueBlobs(run: JobRun): Promise<'completed' | 'partial'> {
  run.progress.cutoff = run.now;
  const reserve = Math.min(BATCH_RESERVE_MS, run.timeLeftMs() * RESERVED_SHARE);
  while (run.timeLeftMs() > reserve) {
    const due = await findDueBlobs(run.services.crossTenant.core, run.now, BATCH_SIZE);
    if (due.length === 0) return 'completed';
    run.progress.examined += due.length;
    const decided = due.map((blob) => ({ blob, decision: decideBlob(blob, run.now) }));
    await tierBlobs(
      run,
      decided.filter((one): one is Decided<'move' | 'wait'> => one.decision.action !== 'delete'),
    );
    const over = decided.filter((one) => one.decision.action === 'delete').map((one) => one.blob);
    for (let from = 0; from < over.length; from += DELETION_BATCH)
      await deleteBlobs(run, over.slice(from, from + DELETION_BATCH));
  }
  return 'partial';
}

async function tierBlobs(run: JobRun, decided: readonly Decided<'move' | 'wait'>[]): Promise<void> {
  const entries = await inParallel(decided, CALLS_AT_ONCE, (one) => tierBlob(run, one));
  publish(run, await bookLooks(run.services.crossTenant.core, entries, run.now));
  for (const { blob, tier } of entries) {
    if (tier === undefined) continue;
    tally(run.progress, `moved_to_${tier.toLowerCase()}`);
    run.progress.bytes += blob.bytes;
  }
}

async function tierBlob(run: JobRun, { blob, decision }: Decided<'move' | 'wait'>): Promise<BlobEntry> {
  const { nextCheckAt } = decision;
  if (decision.action === 'wait') return { blob, tier: undefined, nextCheckAt, missing: false };
  const outcome = await run.services.blobs.setTier(blob.container, blob.name, decision.tier);
  switch (outcome) {
    case 'moved':
      return { blob, tier: decision.tier, nextCheckAt, missing: false };
    case 'absent':
      log.error('blob-missing', { tenant_id: blob.tenantId, container: blob.container, blob: blob.name });
      tally(run.progress, 'missing');
      return { blob, tier: undefined, nextCheckAt: blob.deleteAfter, missing: true };
    case 'refused':
      log.warn('tier-refused', { tenant_id: blob.tenantId, blob: blob.name, tier: decision.tier });
      tally(run.progress, 'refused');
      return { blob, tier: undefined, nextCheckAt: postponed(run.now), missing: false };
    default:
      return outcome satisfies never;
  }
}

/** Deletes blobs whose retention is over, while no hold can be placed. Postpones those that must stay. */
async function deleteBlobs(run: JobRun, over: readonly BookedBlob[]): Promise<void> {
  const { deleted, stayed, entries } = await inDeletingBatch(
    run.services.crossTenant.core,
    async (transaction) => {
      const blobs = await lockBooked(transaction, over);
      const kept = await findKept(transaction, blobs);
      const outcomes = await inParallel(blobs, CALLS_AT_ONCE, async (blob) => ({
        blob,
        outcome: kept.get(keyOf(blob)) ?? (await deleteBlob(run.services.blobs, blob)),
      }));
      const gone = outcomes.filter(({ outcome }) => outcome === 'deleted').map(({ blob }) => blob);
      return {
        deleted: gone,
        stayed: outcomes.filter(({ outcome }) => outcome !== 'deleted'),
        entries: await bookDeletions(transaction, gone, run.now),
      };
    },
  );
  publish(run, entries);
  const looks = stayed.map(({ blob }) => ({
    blob,
    tier: undefined,
    nextCheckAt: postponed(run.now),
    missing: false,
  }));
  await bookLooks(run.services.crossTenant.core, looks, run.now);
  run.progress.deleted += deleted.length;
  for (const blob of deleted) run.progress.bytes += blob.bytes;
  for (const { outcome } of stayed) {
    tally(run.progress, outcome);
    if (outcome !== 'record_stays') run.progress.kept_on_hold += 1;
  }
}

/** A missing blob counts as deleted: an earlier run deleted it and failed before it wrote that to `ops.blobs`. */
async function deleteBlob(blobs: BlobStore, blob: BookedBlob): Promise<'deleted' | 'immutable'> {
  const outcome = await blobs.delete(blob.container, blob.name);
  return outcome === 'immutable' ? 'immutable' : 'deleted';
}

function publish(run: JobRun, entries: readonly OutboxEntry[]): void {
  for (const entry of entries) run.services.publisher.publish(entry);
}

function tally(progress: JobProgress, name: string): void {
  progress.details[name] = Number(progress.details[name] ?? 0) + 1;
}
