import { randomUUID } from 'node:crypto';
import { lockLost } from '../broker-error.ts';
import { Heap } from './heap.ts';
import type { MessageLock, MessageState, StoredMessage } from '../messages/stored-message.ts';

/**
 * One addressable store of messages: a queue, or its dead-letter subqueue. It keeps order and locks. `Queue` has the rules
 * for changes of state, and the journal.
 */
export class Entity {
  readonly isDeadLetter: boolean;
  readonly #lockDurationMs: number;
  readonly #messages = new Map<number, StoredMessage>();
  /** May contain messages that are no longer ready; `#isReady` tells. */
  readonly #ready = new Heap<StoredMessage>((a, b) => a.sequence < b.sequence);
  /** In order of expiry: all locks last equally long, and a renewed lock moves to the end. */
  readonly #locks = new Map<string, MessageLock>();
  #deferred = 0;
  #scheduled = 0;

  constructor(isDeadLetter: boolean, lockDurationMs: number) {
    this.isDeadLetter = isDeadLetter;
    this.#lockDurationMs = lockDurationMs;
  }

  /** `active` counts locked messages too, as Service Bus does. */
  get counts(): { active: number; deferred: number; scheduled: number; locked: number } {
    const active = this.#messages.size - this.#deferred - this.#scheduled;
    return { active, deferred: this.#deferred, scheduled: this.#scheduled, locked: this.#locks.size };
  }

  get(sequence: number): StoredMessage | undefined {
    return this.#messages.get(sequence);
  }

  all(): IterableIterator<StoredMessage> {
    return this.#messages.values();
  }

  /** Adds a message without a lock; an active one can be received at once. */
  add(message: StoredMessage): void {
    this.#messages.set(message.sequence, message);
    this.#count(message.state, 1);
    if (message.state === 'active') this.#ready.push(message);
  }

  /** Removes a message, and its lock with it. */
  remove(message: StoredMessage): void {
    if (!this.#messages.delete(message.sequence)) return;
    this.#count(message.state, -1);
    if (message.lock !== null) this.#locks.delete(message.lock.token);
    message.lock = null;
  }

  hasReady(): boolean {
    for (let next = this.#ready.peek(); next !== undefined; next = this.#ready.peek()) {
      if (this.#isReady(next)) return true;
      this.#ready.pop();
    }
    return false;
  }

  /** Takes the ready message with the lowest sequence number. It is no longer ready, but stays in the entity. */
  takeReady(): StoredMessage | undefined {
    return this.hasReady() ? this.#ready.pop() : undefined;
  }

  lock(message: StoredMessage, now: number): MessageLock {
    const lock = { token: randomUUID(), message, until: now + this.#lockDurationMs };
    message.lock = lock;
    this.#locks.set(lock.token, lock);
    return lock;
  }

  /** Throws lock-lost when the lock does not exist or has expired. */
  heldLock(token: string, now: number): MessageLock {
    const lock = this.#locks.get(token);
    if (lock === undefined || lock.until <= now) throw lockLost();
    return lock;
  }

  renew(lock: MessageLock, now: number): void {
    lock.until = now + this.#lockDurationMs;
    this.#locks.delete(lock.token);
    this.#locks.set(lock.token, lock);
  }

  /** Ends the message's lock and sets its state. An active message can be received again. */
  unlock(message: StoredMessage, state: MessageState): void {
    if (message.lock !== null) this.#locks.delete(message.lock.token);
    message.lock = null;
    this.#count(message.state, -1);
    message.state = state;
    this.#count(state, 1);
    if (state === 'active') this.#ready.push(message);
  }

  /** The lock that expires first. */
  firstLock(): MessageLock | undefined {
    return this.#locks.values().next().value;
  }

  /** Up to `limit` messages of any state from `sequence` on, in order. */
  peek(sequence: number, limit: number): StoredMessage[] {
    const found: StoredMessage[] = [];
    for (const message of this.#messages.values()) if (message.sequence >= sequence) found.push(message);
    // Almost always sorted already, which makes the sort cheap: only dead letters can arrive out of order.
    return found.sort((a, b) => a.sequence - b.sequence).slice(0, limit);
  }

  #isReady(message: StoredMessage): boolean {
    const present = this.#messages.get(message.sequence) === message;
    return present && message.state === 'active' && message.lock === null;
  }

  #count(state: MessageState, by: 1 | -1): void {
    if (state === 'deferred') this.#deferred += by;
    else if (state === 'scheduled') this.#scheduled += by;
  }
}
