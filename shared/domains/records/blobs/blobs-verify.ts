import { z } from 'zod';
import { inParallel } from '../../../platform/blob/in-parallel.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { log } from '../../../platform/log/log.ts';
import { count } from '../../../platform/telemetry/metrics.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { addToOutbox } from '../../../platform/writes/outbox.ts';
import { findStoredRecords } from '../archive/archivable-records.ts';
import { archiveDocument } from '../archive/archive-document.ts';
import { blobEvent } from './blob-events.ts';
import { blobSha256 } from '../archive/blob-sha256.ts';
import { keyOf, type BookedBlob } from './due-blobs.ts';
import { lockBooked } from './lock-blobs.ts';
import { bookRestored, findNewest, findNext } from './verified-blobs.ts';

const BUDGET_MS = 4 * MINUTE_MS;
/** A batch begins only while this much time is left: a few seconds of storage calls. */
const BATCH_RESERVE_MS = 15_000;
const RESERVED_SHARE = 0.2;
/** Blobs compared in one batch. */
const BATCH_SIZE = 100;
/** Storage calls at once. */
const CALLS_AT_ONCE = 16;
/**
 * The least age of a blob that is compared. A storage that loses blobs loses them within seconds (a killed Azurite: five), so a
 * younger blob could be lost after the comparison.
 */
const SETTLED_MS = 10 * MINUTE_MS;
/** Blobs of the walk over all blobs, in one run. With a run an hour: 24,000 a day. */
const ALL_A_RUN = 1_000;
/** That walk's share of a run's time. It comes first, so that old blobs are compared however many are new. */
const ALL_SHARE = 0.25;
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
 * Checks that the blobs of `ops.blobs` exist and have the bytes that were archived. Each blob is compared soon after it is
 * written, and again from time to time: each run compares some. A missing blob is written again from its record, byte for
 * byte. A missing blob without its record, and a blob with other bytes, cannot be restored: they are counted, logged and
 * written to the tenant's audit trail. A blob is never overwritten.
 */
export const blobsVerify: Job = { name: 'blobs-verify', budgetMs: BUDGET_MS, run: verifyBlobs };

async function verifyBlobs(run: JobRun): Promise<'completed' | 'partial'> {
  const total = run.timeLeftMs();
  const before = new Date(run.now.getTime() - SETTLED_MS);
  run.progress.cutoff = before;
  let at = (await run.position(position)) ?? START;
  const walk: Walk = {
    run,
    before,
    at: () => at,
    // Saved after each batch, so that a failed batch is compared again.
    save: (changed) => run.savePosition((at = { ...at, ...changed })),
    seen: new Set(),
  };
  await walkAll(walk, total * (1 - ALL_SHARE));
  return walkNewest(walk, Math.min(BATCH_RESERVE_MS, total * RESERVED_SHARE));
}

/** A run's two walks. */
interface Walk {
  readonly run: JobRun;
  /** Younger blobs are skipped. */
  readonly before: Date;
  readonly at: () => Position;
  readonly save: (changed: Partial<Position>) => Promise<void>;
  /** Blobs of the first walk: the second one skips them. */
  readonly seen: Set<string>;
}

/** Continues the walk over all blobs while more than this time is left. */
async function walkAll({ run, before, at, save, seen }: Walk, untilLeftMs: number): Promise<void> {
  for (let compared = 0; compared < ALL_A_RUN && run.timeLeftMs() > untilLeftMs; compared += BATCH_SIZE) {
    const { blobs, next } = await findNext(run.services.crossTenant.core, at().all, before, BATCH_SIZE);
    await verify(run, blobs);
    for (const blob of blobs) seen.add(keyOf(blob));
    await save({ all: next ?? START.all });
    if (next === undefined) return;
  }
}

/** Compares the blobs that were written since the last run, while more than this time is left. */
async function walkNewest(
  { run, before, at, save, seen }: Walk,
  untilLeftMs: number,
): Promise<'completed' | 'partial'> {
  while (run.timeLeftMs() > untilLeftMs) {
    const { blobs, next } = await findNewest(run.services.crossTenant.core, at().newest, before, BATCH_SIZE);
    if (next === undefined) return 'completed';
    await verify(
      run,
      blobs.filter((blob) => !seen.has(keyOf(blob))),
    );
    await save({ newest: next });
  }
  return 'partial';
}

type Found = 'sound' | 'missing' | 'changed';

async function compare({ services }: JobRun, blob: BookedBlob): Promise<Found> {
  const sha256 = await blobSha256(services.blobs, blob.container, blob.name);
  if (sha256 === undefined) return 'missing';
  return sha256 === blob.sha256 ? 'sound' : 'changed';
}

/** The outcomes for a blob that is missing or has other bytes. */
const OUTCOMES = ['restored', 'missing', 'changed'] as const;
type Outcome = Found | 'restored';

async function verify(run: JobRun, blobs: readonly BookedBlob[]): Promise<void> {
  const found = await inParallel(blobs, CALLS_AT_ONCE, (blob) => compare(run, blob));
  run.progress.examined += blobs.length;
  for (const blob of blobs) run.progress.bytes += blob.bytes;
  const unsound = blobs.filter((_, n) => found[n] !== 'sound');
  count('blobs_verified_total', { outcome: 'sound' }, blobs.length - unsound.length);
  if (unsound.length === 0) return;
  const { outcomes, told } = await inBatch(run.services.crossTenant.core, (transaction) =>
    repair(run, transaction, unsound),
  );
  for (const entry of told) run.services.publisher.publish(entry);
  for (const outcome of OUTCOMES) report(run, outcome, outcomes);
}

interface Repaired {
  readonly outcomes: ReadonlyMap<BookedBlob, Outcome>;
  readonly told: readonly OutboxEntry[];
}

/** Locks the blobs against deletion, compares them again, writes missing ones and stores the outcomes. */
async function repair(
  run: JobRun,
  transaction: CrossTenantTransaction,
  unsound: readonly BookedBlob[],
): Promise<Repaired> {
  // A blob that is marked deleted in `ops.blobs` is not missing.
  const booked = await lockBooked(transaction, unsound);
  const found = await inParallel(booked, CALLS_AT_ONCE, (blob) => compare(run, blob));
  const outcomes = new Map<BookedBlob, Outcome>(booked.map((blob, n) => [blob, found[n] ?? 'sound']));
  const those = (outcome: Outcome): BookedBlob[] => booked.filter((blob) => outcomes.get(blob) === outcome);
  for (const [blob, outcome] of await restore(run, transaction, those('missing')))
    outcomes.set(blob, outcome);
  const told = [
    ...those('restored').map((blob) => blobEvent(ACTOR, blob, 'blob.restored', 'success')),
    ...those('missing').map((blob) => blobEvent(ACTOR, blob, 'blob.missing', 'failure')),
    ...those('changed').map((blob) => blobEvent(ACTOR, blob, 'blob.changed', 'failure')),
  ];
  await bookRestored(transaction, those('restored'), run.now);
  await addToOutbox(transaction, told);
  return { outcomes, told };
}

/**
 * Writes missing blobs again if their records exist and give the same bytes. Returns the outcome of each; a blob that another
 * process wrote meanwhile is compared.
 */
async function restore(
  run: JobRun,
  transaction: CrossTenantTransaction,
  missing: readonly BookedBlob[],
): Promise<readonly (readonly [BookedBlob, Outcome])[]> {
  const wanted = missing.flatMap(({ tenantId, recordId }) =>
    recordId === undefined ? [] : [{ tenant_id: tenantId, record_id: recordId }],
  );
  if (wanted.length === 0) return [];
  const records = await findStoredRecords(transaction, wanted);
  const byName = new Map(missing.map((blob) => [`${blob.tenantId}/${blob.name}`, blob]));
  const restored = await inParallel(records, CALLS_AT_ONCE, async (record) => {
    const document = archiveDocument(record);
    const sha256 = document.sha256.toString('hex');
    const blob = byName.get(`${record.tenant_id}/${document.name}`);
    if (blob?.sha256 !== sha256) return [];
    const metadata = { sha256, tenant_id: record.tenant_id, record_id: record.id };
    const { written } = await run.services.blobs.create(blob.container, blob.name, document.bytes, metadata);
    return [[blob, written ? 'restored' : await compare(run, blob)] as const];
  });
  return restored.flat();
}

function report(run: JobRun, what: (typeof OUTCOMES)[number], outcomes: Repaired['outcomes']): void {
  const blobs = [...outcomes].flatMap(([blob, outcome]) => (outcome === what ? [blob] : []));
  if (blobs.length === 0) return;
  count('blobs_verified_total', { outcome: what }, blobs.length);
  const { details } = run.progress;
  details[what] = Number(details[what] ?? 0) + blobs.length;
  for (const blob of blobs) {
    const fields = { tenant_id: blob.tenantId, container: blob.container, blob: blob.name };
    if (what === 'restored') log.warn('blob-restored', fields);
    else log.error(`blob-${what}`, fields);
  }
}
