import { createHash } from 'node:crypto';
import { z } from 'zod';
import { fitsType } from '../api/receivers.ts';
import type { NoteKind, Store } from '../store/store.ts';

const MAX_COPIES = 20;
const FLUSH_MS = 250; // longer than a busy laptop needs between two events of one change

/** Which events a fault is for: a share of them, drawn by the seed, and of these types only (`invoice.*`). */
const some = { share: z.number().min(0).max(1).default(1), types: z.array(z.string()).optional() };

/** What is to go wrong with deliveries. What is left out goes well. */
export const faultsSchema = z.strictObject({
  /** The same seed and the same events give the same faults. */
  seed: z.int().default(1),
  /** Before the first attempt. */
  delay_ms: z
    .union([z.int().min(0), z.strictObject({ min: z.int().min(0), max: z.int().min(0) })])
    .optional(),
  duplicate: z
    .strictObject({
      ...some,
      /** How often each event is delivered to each endpoint. */
      times: z.int().min(1).max(MAX_COPIES).default(1),
      /** How many Event objects, with ids of their own, are made of one change. */
      events: z.int().min(1).max(MAX_COPIES).default(1),
    })
    .optional(),
  /** Gathers so many deliveries of an endpoint, or what there is after a pause, and sends them shuffled, one after the other. */
  reorder: z.strictObject({ window: z.int().min(2), flush_ms: z.int().min(0).default(FLUSH_MS) }).optional(),
  /** Lost on their way. They count as failed; with `retry` they come again as after any failure. */
  drop: z.strictObject({ ...some, retry: z.boolean().default(false) }).optional(),
});

export type Faults = z.infer<typeof faultsSchema>;
export type GivenFaults = z.input<typeof faultsSchema>;

const stateSchema = z.object({
  faults: faultsSchema,
  /** How many changes have been dealt with. */
  count: z.number(),
});

const STATE: NoteKind<z.infer<typeof stateSchema>> = { name: 'webhook_faults', schema: stateSchema };
const STATE_ID = 'faults';

/** The faults that are set, if any. */
export function readFaults(store: Store): Faults | undefined {
  return store.getNote(STATE, STATE_ID)?.faults;
}

/** Sets all faults, from the seed's beginning; null turns all of them off. */
export function setFaults(store: Store, faults: Faults | null): void {
  store.putNote(STATE, STATE_ID, faults === null ? null : { faults, count: 0 });
}

/** Draws numbers from 0 to below 1: the same for the same seed and name. */
function drawFor(seed: number, name: string): number {
  const hash = createHash('sha256').update(`${seed}/${name}`).digest();
  return hash.readUInt32BE() / 2 ** 32;
}

/** What happens to one delivery. */
export interface Fate {
  readonly delayMs: number;
  readonly isDropped: boolean;
  /** A dropped one comes again. */
  readonly isRetried: boolean;
  /** Where it stands among those that are shuffled with it; null where nothing is shuffled. */
  readonly rank: number | null;
}

export interface Plan {
  /** How many Event objects there are of the change. */
  readonly events: number;
  /** How often each is delivered. */
  readonly times: number;
  /** `name` tells deliveries of this change apart: event, endpoint and copy by their numbers. */
  fateOf(name: string): Fate;
}

const NO_FAULTS: Plan = {
  events: 1,
  times: 1,
  fateOf: () => ({ delayMs: 0, isDropped: false, isRetried: false, rank: null }),
};

/** Plans the deliveries of one change, and counts it. Belongs in the change's transaction. */
export function planFaults(store: Store, type: string): Plan {
  const state = store.getNote(STATE, STATE_ID);
  if (state === undefined) return NO_FAULTS;
  const { faults, count } = state;
  store.putNote(STATE, STATE_ID, { ...state, count: count + 1 });
  const draw = (name: string): number => drawFor(faults.seed, `${count}/${name}`);
  const isMeant = (
    fault: { share: number; types?: string[] | undefined } | undefined,
    name: string,
  ): boolean =>
    fault !== undefined &&
    (fault.types?.some((wanted) => fitsType(type, wanted)) ?? true) &&
    draw(name) < fault.share;
  const { delay_ms: delay = 0, duplicate, drop, reorder } = faults;
  const isDuplicated = isMeant(duplicate, 'duplicate');
  const { min, max } = typeof delay === 'number' ? { min: delay, max: delay } : delay;
  return {
    events: isDuplicated ? (duplicate?.events ?? 1) : 1,
    times: isDuplicated ? (duplicate?.times ?? 1) : 1,
    fateOf: (name) => ({
      delayMs: min + Math.floor(draw(`delay/${name}`) * (max - min + 1)),
      isDropped: isMeant(drop, `drop/${name}`),
      isRetried: drop?.retry ?? false,
      rank: reorder === undefined ? null : draw(`rank/${name}`),
    }),
  };
}
