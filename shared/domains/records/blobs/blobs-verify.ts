import { z } from 'zod';
import { inParallel } from '../../../platform/blob/in-parallel.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { log } from '../../../platform/log/log.ts';
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
/** Its share of a run's time, which comes first: however many blobs are new, each is compared again some day. */
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
 * Compares blobs with the books: whether they are there, and have the bytes that were archived. Each blob is compared soon after
 * it was written, and again and again over time, some in each run. A blob that is missing is written again from its record,
 * byte for byte. What cannot be mended is counted, logged and told in the tenant's audit trail: a missing blob without its
 * record, and a blob with other bytes, which is never overwritten.
 */
export const blobsVerify: Job = { name: 'blobs-verify', budgetMs: BUDGET_MS, run };

async function run(job: JobRun): Promise<'completed' | 'partial'> {
  const total = job.timeLeftMs();
  const before = new Date(job.now.getTime() - SETTLED_MS);
  job.progress.cutoff = before;
  let at = (await job.position(position)) ?? START;
  const walk: Walk = {
    job,
    before,
    at: () => at,
    // Saved after each batch: one that fails is compared again.
    save: (changed) => job.savePosition((at = { ...at, ...changed })),
    seen: new Set(),
  };
  await walkAll(walk, total * (1 - ALL_SHARE));
  return walkNewest(walk, Math.min(BATCH_RESERVE_MS, total * RESERVED_SHARE));
}

/** A run's two walks. */
interface Walk {
  readonly job: JobRun;
  /** Younger blobs are left alone. */
  readonly before: Date;
  readonly at: () => Position;
  readonly save: (changed: Partial<Position>) => Promise<void>;
  /** A blob that both walks meet is compared, and counted, once. */
  readonly seen: Set<string>;
}

/** Goes on with the walk over all blobs while more than so much time is left. */
async function walkAll({ job, before, at, save, seen }: Walk, untilLeftMs: number): Promise<void> {
  for (let compared = 0; compared < ALL_A_RUN && job.timeLeftMs() > untilLeftMs; compared += BATCH_SIZE) {
    const { blobs, next } = await findNext(job.services.crossTenant.core, at().all, before, BATCH_SIZE);
    await verify(job, blobs);
    for (const blob of blobs) seen.add(keyOf(blob));
    await save({ all: next ?? START.all });
    if (next === undefined) return;
  }
}

/** Compares the blobs that were written since the last run, while more than so much time is left. */
async function walkNewest(
  { job, before, at, save, seen }: Walk,
  untilLeftMs: number,
): Promise<'completed' | 'partial'> {
  while (job.timeLeftMs() > untilLeftMs) {
    const { blobs, next } = await findNewest(job.services.crossTenant.core, at().newest, before, BATCH_SIZE);
    if (next === undefined) return 'completed';
    await verify(
      job,
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

/** What became of a blob that was not as it should be. */
const OUTCOMES = ['restored', 'missing', 'changed'] as const;
type Outcome = Found | 'restored';

async function verify(job: JobRun, blobs: readonly BookedBlob[]): Promise<void> {
  const found = await inParallel(blobs, CALLS_AT_ONCE, (blob) => compare(job, blob));
  job.progress.examined += blobs.length;
  for (const blob of blobs) job.progress.bytes += blob.bytes;
  const unsound = blobs.filter((_, n) => found[n] !== 'sound');
  if (unsound.length === 0) return;
  const { outcomes, told } = await inBatch(job.services.crossTenant.core, (transaction) =>
    mend(job, transaction, unsound),
  );
  for (const entry of told) job.services.publisher.publish(entry);
  for (const outcome of OUTCOMES) report(job, outcome, outcomes);
}

interface Mended {
  readonly outcomes: ReadonlyMap<BookedBlob, Outcome>;
  readonly told: readonly OutboxEntry[];
}

/** Looks again at blobs that nobody can delete meanwhile, writes the missing ones and books what came of it. */
async function mend(
  job: JobRun,
  transaction: CrossTenantTransaction,
  unsound: readonly BookedBlob[],
): Promise<Mended> {
  // One that is gone from the books too was deleted as it should be.
  const booked = await lockBooked(transaction, unsound);
  const found = await inParallel(booked, CALLS_AT_ONCE, (blob) => compare(job, blob));
  const outcomes = new Map<BookedBlob, Outcome>(booked.map((blob, n) => [blob, found[n] ?? 'sound']));
  const those = (outcome: Outcome): BookedBlob[] => booked.filter((blob) => outcomes.get(blob) === outcome);
  for (const [blob, outcome] of await restore(job, transaction, those('missing')))
    outcomes.set(blob, outcome);
  const told = [
    ...those('restored').map((blob) => blobEvent(ACTOR, blob, 'blob.restored', 'success')),
    ...those('missing').map((blob) => blobEvent(ACTOR, blob, 'blob.missing', 'failure')),
    ...those('changed').map((blob) => blobEvent(ACTOR, blob, 'blob.changed', 'failure')),
  ];
  await bookRestored(transaction, those('restored'), job.now);
  await addToOutbox(transaction, told);
  return { outcomes, told };
}

/**
 * Writes missing blobs again whose records are there and give the same bytes. Answers what became of those; one that somebody else
 * wrote meanwhile is what it turned out to be.
 */
async function restore(
  job: JobRun,
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
    const { written } = await job.services.blobs.create(blob.container, blob.name, document.bytes, metadata);
    return [[blob, written ? 'restored' : await compare(job, blob)] as const];
  });
  return restored.flat();
}

function report(job: JobRun, what: (typeof OUTCOMES)[number], outcomes: Mended['outcomes']): void {
  const blobs = [...outcomes].flatMap(([blob, outcome]) => (outcome === what ? [blob] : []));
  if (blobs.length === 0) return;
  const { details } = job.progress;
  details[what] = Number(details[what] ?? 0) + blobs.length;
  for (const blob of blobs) {
    const fields = { tenant_id: blob.tenantId, container: blob.container, blob: blob.name };
    if (what === 'restored') log.warn('blob-restored', fields);
    else log.error(`blob-${what}`, fields);
  }
}
