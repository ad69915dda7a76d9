import Stripe from 'stripe';
import { isDeepStrictEqual } from 'node:util';
import { eventInVersion } from '../api/in-version.ts';
import type { StandIn } from '../api/stand-in.ts';
import { readVersion } from '../api/versions.ts';
import {
  concludeAttempt,
  giveUp,
  listDeliveries,
  listPendingOf,
  planDeliveries,
  readDelivery,
} from './deliveries.ts';
import type { Delivery } from './deliveries.ts';
import { faultsSchema, readFaults, setFaults } from './faults.ts';
import type { GivenFaults } from './faults.ts';
import { Lane } from './lane.ts';
import { sign } from './secrets.ts';
import { send } from './send.ts';
import { Shuffle } from './shuffle.ts';

/** Each twice the one before, as Stripe's grow; Stripe's go on for three days. */
const RETRY_DELAYS_MS: readonly number[] = Array.from({ length: 10 }, (_, index) => 500 * 2 ** index);

const TIMEOUT_MS = 10_000;

export interface WebhookSettings {
  /** How long after each failed attempt the next one is made; after the last there is none. */
  readonly retryDelaysMs?: readonly number[];
  /** How long an endpoint may take to answer. */
  readonly timeoutMs?: number;
  /** What goes wrong from the start on. A control can say otherwise until the next start. */
  readonly faults?: GivenFaults;
}

function nameOf({ event, endpoint, copy }: Delivery): string {
  return `${event}/${endpoint}/${copy}`;
}

/** Asked again after each wait: a reset or the end may have come meanwhile. */
function isOver({ aborted }: AbortSignal): boolean {
  return aborted;
}

function getOrMake<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/**
 * Delivers events to endpoints, at least once: what is to be delivered is on disk before the request that caused it is
 * answered, and stays there until an endpoint has taken it or no attempt is left.
 */
export class Deliverer {
  readonly #standIn: StandIn;
  readonly #retryDelaysMs: readonly number[];
  readonly #timeoutMs: number;
  readonly #faults: GivenFaults | undefined;
  /** What is not settled, with the timer that it waits for, if it waits. */
  readonly #open = new Map<string, NodeJS.Timeout | undefined>();
  readonly #lanes = new Map<string, Lane>();
  readonly #shuffles = new Map<string, Shuffle>();
  readonly #waiters = new Set<() => void>();
  /** A new one with each reset: an attempt of an older one changes nothing any more. */
  #current = new AbortController();

  constructor(
    standIn: StandIn,
    { retryDelaysMs = RETRY_DELAYS_MS, timeoutMs = TIMEOUT_MS, faults }: WebhookSettings,
  ) {
    this.#standIn = standIn;
    this.#retryDelaysMs = retryDelaysMs;
    this.#timeoutMs = timeoutMs;
    this.#faults = faults;
    const { store } = standIn;
    standIn.whenEmitting((event) => planDeliveries(store, event, this.#timing()));
    standIn.onEvents((events) => {
      for (const event of events) for (const delivery of listPendingOf(store, event)) this.deliver(delivery);
    });
    standIn.onReset(() => {
      this.stop();
      this.#current = new AbortController();
      this.#applyFaults();
    });
    this.#applyFaults();
    for (const delivery of listDeliveries(store)) if (delivery.state === 'pending') this.deliver(delivery);
  }

  /** Delivers when its time has come. */
  deliver(delivery: Delivery): void {
    const waitMs = (delivery.next_at ?? 0) - Date.now();
    const timer = waitMs > 0 ? setTimeout(() => this.#release(delivery), waitMs) : undefined;
    this.#open.set(nameOf(delivery), timer);
    if (timer === undefined) this.#release(delivery);
  }

  /** Lets go what is held to be shuffled. */
  flush(): void {
    for (const shuffle of this.#shuffles.values()) shuffle.flush();
  }

  /** Settles once nothing is pending, or after a time. Returns how many are. */
  async whenSettled(timeoutMs: number): Promise<number> {
    if (this.#open.size > 0)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#waiters.delete(done);
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        this.#waiters.add(done);
      });
    return this.#open.size;
  }

  /** Ends all attempts; what is pending stays so on disk. */
  stop(): void {
    this.#current.abort();
    for (const timer of this.#open.values()) clearTimeout(timer);
    for (const lane of this.#lanes.values()) lane.clear();
    for (const shuffle of this.#shuffles.values()) shuffle.clear();
    this.#open.clear();
    this.#lanes.clear();
    this.#notifyWaiters();
  }

  #timing(): { nowMs: number; retryDelaysMs: readonly number[] } {
    return { nowMs: Date.now(), retryDelaysMs: this.#retryDelaysMs };
  }

  /** Sets the faults of the settings, unless they are set already and have got on. */
  #applyFaults(): void {
    if (this.#faults === undefined) return;
    const faults = faultsSchema.parse(this.#faults);
    if (isDeepStrictEqual(readFaults(this.#standIn.store), faults)) return;
    this.#standIn.perform(null, ({ store }) => setFaults(store, faults));
  }

  #release(delivery: Delivery): void {
    const { endpoint, rank } = delivery;
    const lane = getOrMake(this.#lanes, endpoint, () => new Lane());
    if (rank === null || delivery.attempts > 0) {
      lane.add(() => this.#attempt(delivery), false);
      return;
    }
    const { window = 1, flush_ms: flushMs = 0 } = readFaults(this.#standIn.store)?.reorder ?? {};
    const release = (): void => lane.add(() => this.#attempt(delivery), true);
    getOrMake(this.#shuffles, endpoint, () => new Shuffle()).add({ rank, release }, { window, flushMs });
  }

  async #attempt(planned: Delivery): Promise<void> {
    const { signal } = this.#current;
    if (isOver(signal)) return;
    try {
      const after = await this.#try(planned, signal);
      if (isOver(signal)) return;
      if (after?.state === 'pending') this.deliver(after);
      else this.#settle(planned);
    } catch (error) {
      console.error('the Stripe stand-in could not deliver an event:', error);
      if (!isOver(signal)) this.#settle(planned);
    }
  }

  /** Makes one attempt; undefined where it has become meaningless. */
  async #try(planned: Delivery, signal: AbortSignal): Promise<Delivery | undefined> {
    const { store } = this.#standIn;
    const delivery = readDelivery(store, planned);
    const event = store.get('event', planned.event);
    if (delivery === undefined || event === undefined) return undefined;
    const endpoint = store.get('webhook_endpoint', planned.endpoint);
    if (endpoint?.status !== 'enabled') {
      const why = endpoint === undefined ? 'the endpoint is deleted' : 'the endpoint is disabled';
      return this.#standIn.perform(null, () => giveUp(store, delivery, why));
    }
    const body = this.#writeBody(event, endpoint);
    const signature = sign(store, endpoint.id, body, Date.now());
    const outcome = await send({ url: endpoint.url, body, signature, timeoutMs: this.#timeoutMs, signal });
    if (isOver(signal)) return undefined;
    return this.#standIn.perform(null, () => concludeAttempt(store, delivery, outcome, this.#timing()));
  }

  /** Indented, as Stripe's are: whoever checks the signature of anything but the raw bytes shall notice. */
  #writeBody(event: Stripe.EventBase, { api_version }: Stripe.WebhookEndpoint): string {
    const { store, now } = this.#standIn;
    const version = readVersion(api_version ?? Stripe.API_VERSION);
    return JSON.stringify(eventInVersion(store, Math.floor(now() / 1000), event, version), null, 2);
  }

  #settle(delivery: Delivery): void {
    this.#open.delete(nameOf(delivery));
    if (this.#open.size === 0) this.#notifyWaiters();
  }

  #notifyWaiters(): void {
    for (const done of [...this.#waiters]) done();
  }
}
