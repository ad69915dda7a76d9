import rhea from 'rhea';
import type { Delivery, EventContext, Sender } from 'rhea';
import { BrokerError } from '../broker-error.ts';
import type { Address, Dispatcher, Receiver } from '../queue/dispatcher.ts';
import type { Journal } from '../journal/journal.ts';
import { encodeForReceiver } from '../messages/message-codec.ts';
import type { PropertyChanges } from '../queue/queue.ts';
import {
  answerEveryDrain,
  finishDrain,
  sendableNow,
  settleDelivery,
  unwrittenDeliveries,
} from '../rhea-gaps.ts';
import type { MessageLock, StoredMessage } from '../messages/stored-message.ts';

const STANDARD_FORMAT = 0;

// A drain can be answered only when all deliveries are on the wire. A full client window delays them: check again after this.
const DRAIN_RETRY_MS = 10;

/** A lock token's bytes in .NET's order: the first three groups are reversed. ($management does not reverse them.) */
function deliveryTag(token: string): Buffer {
  const tag = rhea.string_to_uuid(token);
  tag.subarray(0, 4).reverse();
  tag.subarray(4, 6).reverse();
  tag.subarray(6, 8).reverse();
  return tag;
}

function plainMap(value: unknown): PropertyChanges {
  return typeof value === 'object' && value !== null ? (value as PropertyChanges) : {};
}

interface RemoteState {
  readonly undeliverable_here?: boolean;
  readonly message_annotations?: unknown;
  readonly error?: { readonly info?: unknown };
}

/** A link to a receiving client: sends it messages within its credit and applies its settlements. */
export class OutboundLink implements Receiver {
  readonly address: Address;
  readonly deletesOnReceive: boolean;
  readonly #sender: Sender;
  readonly #journal: Journal;
  readonly #dispatcher: Dispatcher;
  readonly #tokens = new WeakMap<Delivery, string>();
  #draining = false;

  constructor(
    sender: Sender,
    address: Address,
    deletesOnReceive: boolean,
    journal: Journal,
    dispatcher: Dispatcher,
  ) {
    this.#sender = sender;
    this.address = address;
    this.deletesOnReceive = deletesOnReceive;
    this.#journal = journal;
    this.#dispatcher = dispatcher;
    answerEveryDrain(sender);
    const wake = (): void => {
      dispatcher.wake(address.entity);
    };
    sender.on('sender_flow', wake);
    sender.on('sendable', wake);
    sender.on('sender_draining', () => {
      this.#draining = true;
    });
    sender.on(
      'accepted',
      this.#onSettled((token) => {
        address.queue.complete(address.entity, token);
      }),
    );
    sender.on(
      'released',
      this.#onSettled((token) => {
        address.queue.release(address.entity, token);
      }),
    );
    sender.on(
      'rejected',
      this.#onSettled((token, state) => {
        address.queue.deadLetter(address.entity, token, plainMap(state.error?.info));
      }),
    );
    sender.on(
      'modified',
      this.#onSettled((token, state) => {
        const changes = plainMap(state.message_annotations);
        if (state.undeliverable_here === true) address.queue.defer(address.entity, token, changes);
        else address.queue.abandon(address.entity, token, changes);
      }),
    );
  }

  capacity(): number {
    return this.#sender.is_open() ? sendableNow(this.#sender) : 0;
  }

  deliver(message: StoredMessage, lock: MessageLock | null): void {
    const tag = lock === null ? undefined : deliveryTag(lock.token);
    const delivery = this.#sender.send(encodeForReceiver(message), tag, STANDARD_FORMAT);
    if (lock !== null) this.#tokens.set(delivery, lock.token);
  }

  /** Answers a drain when no message is left to send and all deliveries are on the wire. */
  roundDone(): void {
    if (!this.#draining) return;
    this.#draining = false;
    this.#finishDrainSoon(0);
  }

  #finishDrainSoon(delayMs: number): void {
    const tryNow = (): void => {
      if (!this.#sender.is_open()) return;
      // A delivery that still waits needs its credit: without it, the session would block forever.
      if (unwrittenDeliveries(this.#sender) > 0) this.#finishDrainSoon(DRAIN_RETRY_MS);
      else finishDrain(this.#sender);
    };
    if (delayMs === 0) setImmediate(tryNow);
    else setTimeout(tryNow, delayMs);
  }

  #onSettled(settle: (token: string, state: RemoteState) => void): (context: EventContext) => void {
    return ({ delivery }) => {
      const token = delivery === undefined ? undefined : this.#tokens.get(delivery);
      if (delivery === undefined || token === undefined) return;
      this.#tokens.delete(delivery);
      try {
        settle(token, plainMap(delivery.remote_state));
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error;
        const failure = { condition: error.condition, description: error.message };
        // In a turn of its own: rhea joins the first two outcomes of a turn into one, even when they differ.
        setImmediate(() => {
          settleDelivery(delivery, failure);
        });
        return;
      }
      this.#journal.afterWrite(() => {
        settleDelivery(delivery, null);
        this.#dispatcher.wake(this.address.entity);
      });
    };
  }
}
