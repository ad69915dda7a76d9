import Stripe from 'stripe';
import { isDeepStrictEqual } from 'node:util';
import { isStripeObject, newId } from '../objects/kinds.ts';
import type { Kind, ObjectOf } from '../objects/kinds.ts';
import type { Store } from '../store/store.ts';
import { findPrevious } from './find-previous.ts';
import { listReceivers } from './receivers.ts';
import { noSuchObject } from './stripe-error.ts';

/** The request behind a change; absent where the stand-in acts by itself (a renewal, a retry). */
export interface Cause {
  readonly requestId: string;
  readonly idempotencyKey: string | null;
  /** `/v1/…`, without the query. */
  readonly path: string;
}

export type EventType = Stripe.Event['type'];

/** What an event of this type tells of. */
export type EventObject<T extends EventType> = Extract<Stripe.Event, { type: T }>['data']['object'];

interface ContextParts {
  readonly store: Store;
  readonly url: string;
  readonly cause: Cause | null;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** Called with each event inside its transaction. */
  readonly whenEmitting: (event: Stripe.EventBase) => void;
}

/** What a route has in hand: one transaction on the state, a clock, ids and events. */
export class Context {
  readonly store: Store;
  /** Where the stand-in is reached, without a slash at the end. */
  readonly url: string;
  readonly cause: Cause | null;
  readonly #realNow: () => number;
  readonly #whenEmitting: (event: Stripe.EventBase) => void;
  readonly #effects: (() => void)[] = [];

  constructor({ store, url, cause, now, whenEmitting }: ContextParts) {
    this.store = store;
    this.url = url;
    this.cause = cause;
    this.#realNow = now;
    this.#whenEmitting = whenEmitting;
  }

  /** Seconds since 1970: of the test clock, where one is named (`customer.test_clock`), else of this machine. */
  now(testClock?: string | Stripe.TestHelpers.TestClock | null): number {
    if (testClock == null) return this.#realNow();
    const id = typeof testClock === 'string' ? testClock : testClock.id;
    return this.find('test_helpers.test_clock', id, 'test_clock').frozen_time;
  }

  newId(kind: Kind): string {
    return newId(kind);
  }

  /** The object, or Stripe's error: 404 for one that the path names, 400 for one that a parameter names. */
  find<K extends Kind>(kind: K, id: string, param?: string): ObjectOf<K> {
    const found = this.store.get(kind, id);
    if (found === undefined) throw noSuchObject(kind, id, param);
    return found;
  }

  /**
   * Stores an event of an object's change, in the transaction of the change. `before` is the object as it was, of which the
   * event keeps what differs.
   */
  emit<T extends EventType>(type: T, object: EventObject<T>, before?: EventObject<T>): void {
    this.#emit(type, object, before);
  }

  /** Stores a new object with its event. */
  create<T extends EventType>(type: T, object: EventObject<T>): EventObject<T> {
    this.#put(object);
    this.#emit(type, object);
    return object;
  }

  /** Stores an object in its new state, with its event. Nothing happens where nothing differs. */
  change<T extends EventType>(type: T, before: EventObject<T>, after: EventObject<T>): EventObject<T> {
    if (isDeepStrictEqual(before, after)) return before;
    this.#put(after);
    this.#emit(type, after, before);
    return after;
  }

  /** Runs once the change is on disk, and not if it is undone. */
  afterCommit(effect: () => void): void {
    this.#effects.push(effect);
  }

  /** What `afterCommit` was given. The stand-in runs it. */
  takeEffects(): (() => void)[] {
    return this.#effects.splice(0);
  }

  #emit(type: EventType, object: object, before?: object): void {
    const event: Stripe.EventBase = {
      id: this.newId('event'),
      object: 'event',
      api_version: Stripe.API_VERSION,
      created: this.now(),
      data: {
        object,
        ...(before === undefined ? {} : { previous_attributes: findPrevious(before, object) }),
      },
      livemode: false,
      pending_webhooks: listReceivers(this.store, type).length,
      request: {
        id: this.cause?.requestId ?? null,
        idempotency_key: this.cause?.idempotencyKey ?? null,
      },
      type,
    };
    this.store.put(event);
    this.#whenEmitting(event);
  }

  #put(object: object): void {
    if (!isStripeObject(object)) throw new Error('the stand-in keeps no such objects');
    this.store.put(object);
  }
}
