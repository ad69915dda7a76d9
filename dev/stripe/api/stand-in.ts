import type Stripe from 'stripe';
import type { Store } from '../store/store.ts';
import { Context } from './context.ts';
import type { Cause } from './context.ts';
import { StripeError } from './stripe-error.ts';

/** What a route's `run` came to. Refused means that what it has put is undone, unless the error keeps changes. */
export type Outcome<T> = { readonly result: T } | { readonly refused: StripeError };

interface StandInParts {
  readonly store: Store;
  readonly url: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

type EventsListener = (events: readonly Stripe.EventBase[]) => void;

function isEvent(object: { object: string }): object is Stripe.EventBase {
  return object.object === 'event';
}

/** The state with everything that acts on it: requests, pages, and what runs by itself. */
export class StandIn {
  readonly store: Store;
  readonly url: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly #listeners: EventsListener[] = [];
  readonly #emitListeners: ((event: Stripe.EventBase) => void)[] = [];
  readonly #resetListeners: (() => void)[] = [];

  constructor({ store, url, now }: StandInParts) {
    this.store = store;
    this.url = url;
    this.now = now;
  }

  /** Calls back with the new events of each transaction, once they are on disk, in the order in which they were emitted. */
  onEvents(listener: EventsListener): void {
    this.#listeners.push(listener);
  }

  /** Calls back with each new event inside its transaction: what is put then is kept or undone with the event. */
  whenEmitting(listener: (event: Stripe.EventBase) => void): void {
    this.#emitListeners.push(listener);
  }

  /** Calls back when everything is forgotten, so that a part forgets what it holds in memory. */
  onReset(listener: () => void): void {
    this.#resetListeners.push(listener);
  }

  /** Forgets everything. */
  reset(): void {
    this.store.clear();
    for (const listener of this.#resetListeners) listener();
  }

  /** Runs one transaction: all that it puts and emits is kept together, or undone when it throws. */
  perform<T>(cause: Cause | null, run: (context: Context) => T): T {
    const context = this.#makeContext(cause);
    const { result, created } = this.store.transact(() => run(context));
    this.#announce(context, created);
    return result;
  }

  /** As `perform`, but an error answer is an outcome like others: `conclude` gets it, and what it puts is kept with the rest. */
  attempt<T, R>(cause: Cause, run: (context: Context) => T, conclude: (outcome: Outcome<T>) => R): R {
    return this.perform(cause, (context) => {
      const savepoint = this.store.savepoint();
      try {
        return conclude({ result: run(context) });
      } catch (error) {
        if (!(error instanceof StripeError)) throw error;
        if (!error.keepsChanges) {
          this.store.rollBackTo(savepoint);
          context.takeEffects();
        }
        return conclude({ refused: error });
      }
    });
  }

  #makeContext(cause: Cause | null): Context {
    const now = (): number => Math.floor(this.now() / 1000);
    const whenEmitting = (event: Stripe.EventBase): void => {
      for (const listener of this.#emitListeners) listener(event);
    };
    return new Context({ store: this.store, url: this.url, cause, now, whenEmitting });
  }

  #announce(context: Context, created: readonly { object: string }[]): void {
    const events = created.filter(isEvent);
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
    for (const effect of context.takeEffects()) effect();
  }
}
