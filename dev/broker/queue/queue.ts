import type { QueueDefinition } from '../../../shared/platform/bus/queues.ts';
import { messageNotFound, notAllowed } from '../broker-error.ts';
import { DuplicateHistory } from './duplicate-history.ts';
import { Entity } from './entity.ts';
import { Heap } from './heap.ts';
import { withApplicationProperties } from '../messages/message-codec.ts';
import type { JournalEntry } from '../journal/journal-entries.ts';
import type { RestoredQueue } from '../journal/restore.ts';
import type { IncomingMessage, MessageLock, StoredMessage } from '../messages/stored-message.ts';

/** Application properties to set on a message, by name. */
export type PropertyChanges = Readonly<Record<string, unknown>>;

/** What a queue needs from its broker. */
export interface QueueHost {
  /** Epoch milliseconds. */
  now(): number;
  append(entry: JournalEntry): void;
  /** Requests a call of `runDeadlines` at `atMs` or earlier. */
  wakeAt(atMs: number): void;
  /** The entity has a new message to receive. */
  ready(entity: Entity): void;
}

/**
 * One queue with its dead-letter subqueue, and all rules for changes of a message's state. A call applies each change in
 * memory and appends it to the journal. The caller answers the client after the journal is written.
 */
export class Queue {
  readonly definition: QueueDefinition;
  readonly main: Entity;
  readonly dead: Entity;
  readonly #id: number;
  readonly #host: QueueHost;
  readonly #seen: DuplicateHistory | null;
  /** Earliest first; at equal times, in the order of sending. */
  readonly #deadlines = new Heap<{ at: number; message: StoredMessage }>(
    (a, b) => a.at < b.at || (a.at === b.at && a.message.sequence < b.message.sequence),
  );
  #nextSequence = 1;

  constructor(id: number, definition: QueueDefinition, host: QueueHost) {
    this.#id = id;
    this.definition = definition;
    this.#host = host;
    this.main = new Entity(false, definition.lockDurationMs);
    this.dead = new Entity(true, definition.lockDurationMs);
    const windowMs = definition.duplicateDetectionWindowMs;
    this.#seen = windowMs === null ? null : new DuplicateHistory(windowMs);
  }

  /** Accepts a message and returns its sequence number. A duplicate within the window is dropped: the first one's number. */
  enqueue(incoming: IncomingMessage): number {
    const now = this.#host.now();
    const first = this.#seen?.find(incoming.messageId, now);
    if (first !== undefined) return first;
    const sequence = this.#nextSequence++;
    const scheduled = incoming.scheduledFor !== null && incoming.scheduledFor > now;
    const ttlMs = this.#effectiveTtl(incoming.ttlMs);
    const message: StoredMessage = {
      sequence,
      messageId: incoming.messageId,
      content: incoming.content,
      annotations: incoming.annotations,
      enqueuedAt: now,
      ttlMs,
      expiresAt: scheduled || ttlMs === null ? null : now + ttlMs,
      scheduledFor: incoming.scheduledFor,
      deliveryCount: 0,
      state: scheduled ? 'scheduled' : 'active',
      lock: null,
    };
    this.#put(message, this.main);
    if (this.#seen !== null) {
      this.#seen.add(message.messageId, { at: now, sequence }, now);
      this.#host.append({ kind: 'seen', queue: this.#id, messageId: message.messageId, at: now, sequence });
    }
    this.#admit(message);
    return sequence;
  }

  /** Cancels all, or throws message-not-found and cancels none if one of them is not a scheduled message. */
  cancelScheduled(sequences: readonly number[]): void {
    const messages = sequences.map((sequence) => this.#inState(this.main, sequence, 'scheduled'));
    for (const message of messages) this.#remove(message, this.main);
  }

  /** Locks the next message for a receiver. The lock is journaled, because a crash counts as a failed delivery. */
  lockNext(entity: Entity): MessageLock | undefined {
    const message = entity.takeReady();
    return message === undefined ? undefined : this.#lock(message, entity);
  }

  /** Removes the next message, for a receiver that deletes on receive. */
  takeNext(entity: Entity): StoredMessage | undefined {
    const message = entity.takeReady();
    if (message !== undefined) this.#remove(message, entity);
    return message;
  }

  /** Locks all, or throws message-not-found and locks none if one of them is not a deferred, unlocked message. */
  lockDeferred(entity: Entity, sequences: readonly number[]): MessageLock[] {
    const messages = sequences.map((sequence) => this.#inState(entity, sequence, 'deferred'));
    return messages.map((message) => this.#lock(message, entity));
  }

  /** As `lockDeferred`, but removes the messages from the queue. */
  takeDeferred(entity: Entity, sequences: readonly number[]): StoredMessage[] {
    const messages = sequences.map((sequence) => this.#inState(entity, sequence, 'deferred'));
    for (const message of messages) this.#remove(message, entity);
    return messages;
  }

  /** Renews all, or throws lock-lost and renews none if one has expired. Returns when each ends, in epoch milliseconds. */
  renewLocks(entity: Entity, tokens: readonly string[]): number[] {
    const now = this.#host.now();
    const locks = tokens.map((token) => entity.heldLock(token, now));
    for (const lock of locks) entity.renew(lock, now);
    return locks.map((lock) => lock.until);
  }

  /** Removes a message that its receiver is done with. Throws lock-lost, as do the next four. */
  complete(entity: Entity, token: string): void {
    this.#remove(entity.heldLock(token, this.#host.now()).message, entity);
  }

  /** A failed delivery: the message goes back into the queue, or becomes a dead letter after its last allowed delivery. */
  abandon(entity: Entity, token: string, changes: PropertyChanges): void {
    const { message } = entity.heldLock(token, this.#host.now());
    this.#fail(message, entity, changes);
  }

  /** Puts the message back into the queue, without counting a failed delivery. */
  release(entity: Entity, token: string): void {
    const { message } = entity.heldLock(token, this.#host.now());
    this.#giveBack(message, entity, {});
  }

  /** Sets the message aside: it can be received only by its sequence number. */
  defer(entity: Entity, token: string, changes: PropertyChanges): void {
    const { message } = entity.heldLock(token, this.#host.now());
    if (this.#isExpired(message)) {
      this.#remove(message, entity);
      return;
    }
    entity.unlock(message, 'deferred');
    this.#changed(message, entity, changes);
  }

  /** Moves the message into the dead-letter subqueue. `changes` contains the reason and becomes application properties. */
  deadLetter(entity: Entity, token: string, changes: PropertyChanges): void {
    const { message } = entity.heldLock(token, this.#host.now());
    if (entity.isDeadLetter)
      throw notAllowed('A message in the dead-letter subqueue cannot be dead-lettered again.');
    this.#moveToDeadLetter(message, changes);
  }

  /** Up to `limit` messages of any state, locked ones too, in order from a sequence number on. */
  peek(entity: Entity, sequence: number, limit: number): StoredMessage[] {
    return entity.peek(sequence, limit);
  }

  /** Handles expired locks, due scheduled messages and expired messages. Returns the next deadline. */
  runDeadlines(): number {
    const now = this.#host.now();
    let next = Infinity;
    for (const entity of [this.main, this.dead]) {
      let lock = entity.firstLock();
      for (; lock !== undefined && lock.until <= now; lock = entity.firstLock())
        this.#fail(lock.message, entity, {});
      if (lock !== undefined) next = Math.min(next, lock.until);
    }
    let deadline = this.#deadlines.peek();
    for (; deadline !== undefined && deadline.at <= now; deadline = this.#deadlines.peek()) {
      this.#deadlines.pop();
      this.#meetDeadline(deadline.message, now);
    }
    return deadline === undefined ? next : Math.min(next, deadline.at);
  }

  /**
   * The queue as entries, generated one by one: a compaction mixes them with new ones. Dead letters come last, because a
   * message can meanwhile move into the dead-letter subqueue, but never back.
   */
  *snapshot(): Generator<JournalEntry> {
    const queue = this.#id;
    yield { kind: 'queue', queue, name: this.definition.name, nextSequence: this.#nextSequence };
    for (const entity of [this.main, this.dead]) {
      for (const message of entity.all()) {
        yield { kind: 'put', queue, dead: entity.isDeadLetter, locked: message.lock !== null, message };
      }
    }
    for (const [messageId, acceptance] of this.#seen?.all() ?? [])
      yield { kind: 'seen', queue, messageId, ...acceptance };
  }

  /**
   * Loads the journal's state into an empty queue. Locks end with the broker: a message that was locked counts as a failed
   * delivery, as if its lock had expired.
   */
  restore(state: RestoredQueue): void {
    const now = this.#host.now();
    this.#nextSequence = state.nextSequence;
    for (const [messageId, acceptance] of state.seen) this.#seen?.add(messageId, acceptance, now);
    for (const message of state.dead.values()) this.dead.add(message);
    for (const message of state.main.values()) {
      this.main.add(message);
      this.#admit(message);
    }
    for (const { message, dead } of state.locked) this.#fail(message, dead ? this.dead : this.main, {});
  }

  #effectiveTtl(ttlMs: number | null): number | null {
    const { defaultTtlMs } = this.definition;
    return ttlMs === null || defaultTtlMs === null ? (ttlMs ?? defaultTtlMs) : Math.min(ttlMs, defaultTtlMs);
  }

  #put(message: StoredMessage, entity: Entity): void {
    entity.add(message);
    this.#host.append({ kind: 'put', queue: this.#id, dead: entity.isDeadLetter, locked: false, message });
  }

  #remove(message: StoredMessage, entity: Entity): void {
    entity.remove(message);
    this.#host.append({
      kind: 'remove',
      queue: this.#id,
      dead: entity.isDeadLetter,
      sequence: message.sequence,
    });
  }

  /** Makes an active message available to receivers, and sets the deadline to activate or expire it. */
  #admit(message: StoredMessage): void {
    const at = message.state === 'scheduled' ? message.scheduledFor : message.expiresAt;
    if (at !== null) {
      this.#deadlines.push({ at, message });
      this.#host.wakeAt(at);
    }
    if (message.state === 'active') this.#host.ready(this.main);
  }

  #meetDeadline(message: StoredMessage, now: number): void {
    if (this.main.get(message.sequence) !== message) return;
    // A locked message may still be completed. If it is not, it expires when its lock ends.
    if (message.state !== 'scheduled') {
      if (message.lock === null) this.#remove(message, this.main);
      return;
    }
    // As in Service Bus, a due scheduled message gets a new number and goes to the queue's end.
    const expiresAt = message.ttlMs === null ? null : now + message.ttlMs;
    const sequence = this.#nextSequence++;
    const active: StoredMessage = { ...message, sequence, enqueuedAt: now, expiresAt, state: 'active' };
    this.main.remove(message);
    this.main.add(active);
    this.#host.append({
      kind: 'renumber',
      queue: this.#id,
      from: message.sequence,
      to: sequence,
      enqueuedAt: now,
      expiresAt,
    });
    this.#admit(active);
  }

  #lock(message: StoredMessage, entity: Entity): MessageLock {
    const lock = entity.lock(message, this.#host.now());
    this.#changed(message, entity, {});
    this.#host.wakeAt(lock.until);
    return lock;
  }

  #fail(message: StoredMessage, entity: Entity, changes: PropertyChanges): void {
    message.deliveryCount += 1;
    const { maxDeliveryCount } = this.definition;
    if (entity.isDeadLetter || message.deliveryCount < maxDeliveryCount) {
      this.#giveBack(message, entity, changes);
      return;
    }
    this.#moveToDeadLetter(message, {
      ...changes,
      DeadLetterReason: 'MaxDeliveryCountExceeded',
      DeadLetterErrorDescription: `Message could not be consumed after ${String(maxDeliveryCount)} delivery attempts.`,
    });
  }

  /** Whether the message expired, for example while it was locked. */
  #isExpired(message: StoredMessage): boolean {
    return message.expiresAt !== null && message.expiresAt <= this.#host.now();
  }

  #giveBack(message: StoredMessage, entity: Entity, changes: PropertyChanges): void {
    if (this.#isExpired(message)) {
      this.#remove(message, entity);
      return;
    }
    entity.unlock(message, message.state);
    this.#changed(message, entity, changes);
    this.#host.ready(entity);
  }

  #moveToDeadLetter(message: StoredMessage, changes: PropertyChanges): void {
    this.main.remove(message);
    message.content = withApplicationProperties(message.content, changes);
    message.state = 'active';
    message.expiresAt = null; // nothing expires in the dead-letter subqueue
    // This one entry also removes the message from the queue. With two, a crash between them could lose or double it.
    this.#put(message, this.dead);
    this.#host.ready(this.dead);
  }

  #changed(message: StoredMessage, entity: Entity, changes: PropertyChanges): void {
    const common = { queue: this.#id, dead: entity.isDeadLetter, locked: message.lock !== null };
    if (Object.keys(changes).length > 0) {
      message.content = withApplicationProperties(message.content, changes);
      this.#host.append({ kind: 'put', ...common, message });
      return;
    }
    const { sequence, state, deliveryCount } = message;
    this.#host.append({ kind: 'update', ...common, sequence, state, deliveryCount });
  }

  #inState(entity: Entity, sequence: number, state: 'deferred' | 'scheduled'): StoredMessage {
    const message = entity.get(sequence);
    if (message?.state !== state || message.lock !== null) throw messageNotFound(sequence);
    return message;
  }
}
