import type Stripe from 'stripe';
import { z } from 'zod';
import { listReceivers } from '../api/receivers.ts';
import { newId } from '../objects/kinds.ts';
import type { NoteKind, Store } from '../store/store.ts';
import { planFaults } from './faults.ts';
import type { Fate } from './faults.ts';

const deliverySchema = z.object({
  event: z.string(),
  type: z.string(),
  endpoint: z.string(),
  /** 0 for the first; more where an event is delivered again on purpose. */
  copy: z.number(),
  /** `dropped` is a failure of the stand-in's own making. */
  state: z.enum(['pending', 'succeeded', 'failed', 'dropped']),
  attempts: z.number(),
  /** Of the last attempt; null where there was no answer. */
  last_status: z.number().nullable(),
  last_error: z.string().nullable(),
  /** Milliseconds since 1970; null once it is settled. */
  next_at: z.number().nullable(),
  /** Its place among those that are shuffled with it; null where nothing is. */
  rank: z.number().nullable(),
});

export type Delivery = z.infer<typeof deliverySchema>;

const DELIVERY: NoteKind<Delivery> = { name: 'webhook_delivery', schema: deliverySchema };

/** What came of an attempt: an answer, or why there was none. */
export interface Outcome {
  readonly status: number | null;
  readonly error: string | null;
}

type Key = Pick<Delivery, 'event' | 'endpoint' | 'copy'>;

function keyOf({ event, endpoint, copy }: Key): string {
  return `${event}/${endpoint}/${copy}`;
}

function put(store: Store, delivery: Delivery): Delivery {
  store.putNote(DELIVERY, keyOf(delivery), delivery);
  return delivery;
}

export function readDelivery(store: Store, key: Key): Delivery | undefined {
  return store.getNote(DELIVERY, keyOf(key));
}

/** The oldest first. */
export function listDeliveries(store: Store): Delivery[] {
  return store.listNotes(DELIVERY).map(([, delivery]) => delivery);
}

/** All deliveries of an event to an endpoint. */
function listCopies(store: Store, event: string, endpoint: string): Delivery[] {
  const copies: Delivery[] = [];
  for (;;) {
    const found = readDelivery(store, { event, endpoint, copy: copies.length });
    if (found === undefined) return copies;
    copies.push(found);
  }
}

/** The deliveries of an event that are to be made. */
export function listPendingOf(store: Store, event: Stripe.EventBase): Delivery[] {
  return store
    .list('webhook_endpoint')
    .reverse()
    .flatMap(({ id }) => listCopies(store, event.id, id))
    .filter(({ state }) => state === 'pending');
}

interface Timing {
  /** Milliseconds since 1970, of this machine: receivers know no other clock. */
  readonly nowMs: number;
  readonly retryDelaysMs: readonly number[];
}

function makeDelivery(
  event: Stripe.EventBase,
  endpoint: string,
  copy: number,
  { delayMs, isDropped, isRetried, rank }: Fate,
  { nowMs, retryDelaysMs }: Timing,
): Delivery {
  const made = { event: event.id, type: event.type, endpoint, copy, last_status: null, rank };
  if (!isDropped)
    return { ...made, state: 'pending', attempts: 0, last_error: null, next_at: nowMs + delayMs };
  const [retryMs] = isRetried ? retryDelaysMs : [];
  const lost = { ...made, attempts: 1, last_error: 'dropped by the stand-in', rank: null };
  if (retryMs === undefined) return { ...lost, state: 'dropped', next_at: null };
  return { ...lost, state: 'pending', next_at: nowMs + retryMs };
}

/**
 * Plans who gets a new event, with the faults that are set; a duplicate may be an Event object of its own. Belongs in the
 * event's transaction, so that no event is without its deliveries, whatever dies when.
 */
export function planDeliveries(store: Store, event: Stripe.EventBase, timing: Timing): void {
  const plan = planFaults(store, event.type);
  const receivers = listReceivers(store, event.type);
  for (let number = 0; number < plan.events; number += 1) {
    const one = number === 0 ? event : { ...event, id: newId('event') };
    if (number > 0) store.put(one);
    for (const [index, { id }] of receivers.entries())
      for (let copy = 0; copy < plan.times; copy += 1)
        put(store, makeDelivery(one, id, copy, plan.fateOf(`${number}/${index}/${copy}`), timing));
  }
}

/** One more delivery of an event to an endpoint, without faults. */
export function addDelivery(
  store: Store,
  event: Stripe.EventBase,
  endpoint: string,
  nowMs: number,
): Delivery {
  const copy = listCopies(store, event.id, endpoint).length;
  const fate = { delayMs: 0, isDropped: false, isRetried: false, rank: null };
  return put(store, makeDelivery(event, endpoint, copy, fate, { nowMs, retryDelaysMs: [] }));
}

/** `pending_webhooks` is the number of endpoints that have not taken the event; a second success changes nothing. */
function countDown(store: Store, { event: eventId, endpoint }: Delivery): void {
  const event = store.get('event', eventId);
  const isKnown = listCopies(store, eventId, endpoint).some(({ state }) => state === 'succeeded');
  if (event !== undefined && !isKnown)
    store.put({ ...event, pending_webhooks: Math.max(0, event.pending_webhooks - 1) });
}

/** Puts what came of an attempt: taken, to be tried again, or given up. */
export function concludeAttempt(
  store: Store,
  delivery: Delivery,
  { status, error }: Outcome,
  { nowMs, retryDelaysMs }: Timing,
): Delivery {
  const attempts = delivery.attempts + 1;
  const tried = { ...delivery, attempts, last_status: status, last_error: error };
  if (error === null) {
    countDown(store, delivery);
    return put(store, { ...tried, state: 'succeeded', next_at: null });
  }
  const delayMs = retryDelaysMs[attempts - 1];
  if (delayMs === undefined) return put(store, { ...tried, state: 'failed', next_at: null });
  return put(store, { ...tried, next_at: nowMs + delayMs });
}

/** Ends a delivery without an attempt. */
export function giveUp(store: Store, delivery: Delivery, why: string): Delivery {
  return put(store, { ...delivery, state: 'failed', last_error: why, next_at: null });
}
