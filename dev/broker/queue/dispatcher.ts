import type { Entity } from './entity.ts';
import type { Journal } from '../journal/journal.ts';
import type { Queue } from './queue.ts';
import type { MessageLock, StoredMessage } from '../messages/stored-message.ts';

/** An entity and its queue. */
export interface Address {
  readonly queue: Queue;
  readonly entity: Entity;
}

/** A receiving client, as the dispatcher sees it. */
export interface Receiver {
  readonly address: Address;
  /** Whether a message is removed when it is sent (receive-and-delete) instead of locked. */
  readonly deletesOnReceive: boolean;
  /** How many messages it can take now. */
  capacity(): number;
  /** `lock` is null when the receiver deletes on receive. */
  deliver(message: StoredMessage, lock: MessageLock | null): void;
  /** Called after each round of deliveries from the receiver's entity. */
  roundDone(): void;
}

/**
 * Gives messages to receivers, in turns when an entity has several. Runs only after a journal write, so that a crash cannot
 * undo a message that a receiver already has.
 */
export class Dispatcher {
  readonly #journal: Journal;
  readonly #receivers = new Map<Entity, Receiver[]>();
  readonly #woken = new Set<Entity>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  add(receiver: Receiver): void {
    const { entity } = receiver.address;
    this.#receivers.set(entity, [...(this.#receivers.get(entity) ?? []), receiver]);
  }

  /** Ends delivery to the receiver. Its messages stay locked until their locks end, as in Service Bus. */
  remove(receiver: Receiver): void {
    const { entity } = receiver.address;
    const others = (this.#receivers.get(entity) ?? []).filter((other) => other !== receiver);
    this.#receivers.set(entity, others);
  }

  /** Serves the entity's receivers after this turn's changes are written. */
  wake(entity: Entity): void {
    if (this.#woken.size === 0) {
      this.#journal.afterWrite(() => {
        this.#run();
      });
    }
    this.#woken.add(entity);
  }

  #run(): void {
    const entities = [...this.#woken];
    this.#woken.clear();
    for (const entity of entities) {
      const receivers = this.#receivers.get(entity);
      if (receivers === undefined || receivers.length === 0) continue;
      this.#serve(entity, receivers);
      for (const receiver of receivers) receiver.roundDone();
    }
  }

  #serve(entity: Entity, receivers: Receiver[]): void {
    let full = 0;
    while (full < receivers.length && entity.hasReady()) {
      const receiver = receivers.shift();
      if (receiver === undefined) return;
      receivers.push(receiver);
      if (receiver.capacity() <= 0) {
        full += 1;
        continue;
      }
      full = 0;
      this.#give(receiver, entity);
    }
  }

  #give(receiver: Receiver, entity: Entity): void {
    const { queue } = receiver.address;
    if (!receiver.deletesOnReceive) {
      const lock = queue.lockNext(entity);
      if (lock !== undefined) receiver.deliver(lock.message, lock);
      return;
    }
    const message = queue.takeNext(entity);
    // At most once: the removal is on disk before the message is sent.
    this.#journal.writeNow();
    if (message !== undefined) receiver.deliver(message, null);
  }
}
