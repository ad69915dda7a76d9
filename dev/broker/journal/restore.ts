import type { JournalRecord } from './journal-records.ts';
import type { StoredMessage } from '../messages/stored-message.ts';

/** A queue's state as read back from the journal. */
export interface RestoredQueue {
  nextSequence: number;
  readonly main: Map<number, StoredMessage>;
  readonly dead: Map<number, StoredMessage>;
  readonly locked: Set<{ readonly message: StoredMessage; readonly dead: boolean }>;
  readonly seen: Map<string, { readonly at: number; readonly sequence: number }>;
}

/** Every queue in the journal, by name. The names keep the numbers that the journal gave them. */
export interface RestoredState {
  readonly ids: Map<string, number>;
  readonly queues: Map<number, MutableQueue>;
}

interface MutableQueue extends RestoredQueue {
  readonly mainLocked: Set<number>;
  readonly deadLocked: Set<number>;
}

function emptyQueue(): MutableQueue {
  return {
    nextSequence: 1,
    main: new Map(),
    dead: new Map(),
    locked: new Set(),
    seen: new Map(),
    mainLocked: new Set(),
    deadLocked: new Set(),
  };
}

function markLocked(queue: MutableQueue, dead: boolean, sequence: number, locked: boolean): void {
  const marks = dead ? queue.deadLocked : queue.mainLocked;
  if (locked) marks.add(sequence);
  else marks.delete(sequence);
}

function renumber(queue: MutableQueue, record: JournalRecord & { kind: 'renumber' }): void {
  const message = queue.main.get(record.from);
  if (message === undefined) return;
  const { enqueuedAt, expiresAt } = record;
  const active: StoredMessage = { ...message, sequence: record.to, enqueuedAt, expiresAt, state: 'active' };
  queue.main.delete(record.from);
  queue.main.set(record.to, active);
}

function used(queue: MutableQueue, sequence: number): void {
  queue.nextSequence = Math.max(queue.nextSequence, sequence + 1);
}

function apply(queue: MutableQueue, record: JournalRecord): void {
  switch (record.kind) {
    case 'queue':
      used(queue, record.nextSequence - 1);
      break;
    case 'put': {
      const { sequence } = record.message;
      (record.dead ? queue.dead : queue.main).set(sequence, record.message);
      markLocked(queue, record.dead, sequence, record.locked);
      // A dead letter has left the queue: its record says both.
      if (record.dead) queue.main.delete(sequence);
      used(queue, sequence);
      break;
    }
    case 'update': {
      const message = (record.dead ? queue.dead : queue.main).get(record.sequence);
      if (message === undefined) break;
      message.state = record.state;
      message.deliveryCount = record.deliveryCount;
      markLocked(queue, record.dead, record.sequence, record.locked);
      break;
    }
    case 'remove':
      (record.dead ? queue.dead : queue.main).delete(record.sequence);
      markLocked(queue, record.dead, record.sequence, false);
      break;
    case 'renumber':
      renumber(queue, record);
      used(queue, record.to);
      break;
    case 'seen':
      queue.seen.set(record.messageId, { at: record.at, sequence: record.sequence });
      used(queue, record.sequence);
      break;
  }
}

function collectLocked(queue: MutableQueue): void {
  for (const dead of [false, true]) {
    for (const sequence of dead ? queue.deadLocked : queue.mainLocked) {
      const message = (dead ? queue.dead : queue.main).get(sequence);
      if (message !== undefined) queue.locked.add({ message, dead });
    }
  }
}

/** Replays a journal. Records about unknown messages are ignored (see `JournalRecord`). */
export function replayRecords(records: Iterable<JournalRecord>): RestoredState {
  const state: RestoredState = { ids: new Map(), queues: new Map() };
  for (const record of records) {
    let queue = state.queues.get(record.queue);
    if (queue === undefined) {
      queue = emptyQueue();
      state.queues.set(record.queue, queue);
    }
    if (record.kind === 'queue') state.ids.set(record.name, record.queue);
    apply(queue, record);
  }
  for (const queue of state.queues.values()) collectLocked(queue);
  return state;
}
