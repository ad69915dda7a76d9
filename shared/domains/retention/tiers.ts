import type { AccessTier } from '../../platform/blob/blob-store.ts';
import { addDays, DAY_MS } from '../../platform/time/clock.ts';

/** The kinds of blobs, with the names of the storage layout. */
export const RETENTION_CLASSES = [
  'mapping_results',
  'audit_logs',
  'model_artifacts',
  'backups',
  'training_data',
] as const;
/** The kind of a blob, which decides its retention. */
export type RetentionClass = (typeof RETENTION_CLASSES)[number];

/** The retention of each class in calendar months: evidence 7 years, models and backups one, training data half a year. */
const RETENTION_MONTHS: Readonly<Record<RetentionClass, number>> = {
  mapping_results: 7 * 12,
  audit_logs: 7 * 12,
  model_artifacts: 12,
  backups: 12,
  training_data: 6,
};

/** The age in days from which a blob should be in a cooler tier; the coolest first. */
const WANTED_FROM_DAYS: readonly { readonly tier: AccessTier; readonly days: number }[] = [
  { tier: 'Archive', days: 90 },
  { tier: 'Cool', days: 30 },
];

/** The minimum number of days that a tier charges for, also if a blob is moved or deleted earlier. */
export const MINIMUM_STAY_DAYS: Readonly<Record<AccessTier, number>> = {
  Hot: 0,
  Cool: 30,
  Cold: 90,
  Archive: 180,
};

const COOLNESS: Readonly<Record<AccessTier, number>> = { Hot: 0, Cool: 1, Cold: 2, Archive: 3 };

/** For how long a forbidden deletion is postponed. A hold's release is noticed within this time. */
const POSTPONED_DAYS = 1;

/** The facts of a blob that decide its tier. */
export interface TieredBlob {
  readonly retentionClass: RetentionClass;
  readonly tier: AccessTier;
  readonly createdAt: Date;
  readonly tierChangedAt: Date;
  readonly deleteAfter: Date;
}

/** What to do with a blob, and when to check it next. */
export type BlobDecision =
  | { readonly action: 'delete' }
  | { readonly action: 'move'; readonly tier: AccessTier; readonly nextCheckAt: Date }
  | { readonly action: 'wait'; readonly nextCheckAt: Date };

/** When a blob may be deleted. If the last month has no such day, the date is in the next month, so never too early. */
export function deleteAfter(retentionClass: RetentionClass, createdAt: Date): Date {
  const end = new Date(createdAt);
  end.setUTCMonth(end.getUTCMonth() + RETENTION_MONTHS[retentionClass]);
  return end;
}

/**
 * What to do with a blob now. It moves to the coolest tier for its age. It does not move if the tier's minimum stay is longer
 * than the rest of its retention, or if the present tier's minimum stay is not over. It never moves to a warmer tier.
 */
export function decideBlob(blob: TieredBlob, now: Date): BlobDecision {
  if (now >= blob.deleteAfter) return { action: 'delete' };
  const tier = WANTED_FROM_DAYS.find((wanted) => mayMove(blob, wanted, now))?.tier;
  if (tier === undefined) return { action: 'wait', nextCheckAt: nextCheck(blob, now) };
  return { action: 'move', tier, nextCheckAt: nextCheck({ ...blob, tier, tierChangedAt: now }, now) };
}

/** When a deletion that a hold or immutability prevents is tried again. */
export function postponed(now: Date): Date {
  return addDays(now, POSTPONED_DAYS);
}

/** When a new blob is first checked. */
export function firstCheck(retentionClass: RetentionClass, createdAt: Date): Date {
  const tier: AccessTier = 'Hot';
  const end = deleteAfter(retentionClass, createdAt);
  return nextCheck(
    { retentionClass, tier, createdAt, tierChangedAt: createdAt, deleteAfter: end },
    createdAt,
  );
}

/** The earliest instant at which a blob may enter a tier, by its age and its present tier's minimum stay. */
function mayEnterFrom(blob: TieredBlob, wanted: { readonly days: number }): Date {
  const stayed = addDays(blob.tierChangedAt, MINIMUM_STAY_DAYS[blob.tier]);
  const aged = addDays(blob.createdAt, wanted.days);
  return stayed > aged ? stayed : aged;
}

function pays(blob: TieredBlob, tier: AccessTier, from: Date): boolean {
  return blob.deleteAfter.getTime() - from.getTime() >= MINIMUM_STAY_DAYS[tier] * DAY_MS;
}

function mayMove(
  blob: TieredBlob,
  wanted: { readonly tier: AccessTier; readonly days: number },
  now: Date,
): boolean {
  return (
    COOLNESS[wanted.tier] > COOLNESS[blob.tier] &&
    now >= mayEnterFrom(blob, wanted) &&
    pays(blob, wanted.tier, now)
  );
}

/** The time of the next possible move, or of the deletion. */
function nextCheck(blob: TieredBlob, now: Date): Date {
  const moves = WANTED_FROM_DAYS.filter((wanted) => COOLNESS[wanted.tier] > COOLNESS[blob.tier])
    .map((wanted) => ({ tier: wanted.tier, from: mayEnterFrom(blob, wanted) }))
    .filter(({ tier, from }) => from > now && pays(blob, tier, from))
    .map(({ from }) => from.getTime());
  return new Date(Math.min(blob.deleteAfter.getTime(), ...moves));
}
