import type { JournalEntry } from './journal-entries.ts';
import type { StoredMessage } from '../messages/stored-message.ts';

/** A queue's state, as the journal has it. */
export interface RestoredQueue {
  nextSequence: number;
  readonly main: Map<number, StoredMessage>;
  readonly dead: Map<number, StoredMessage>;
  readonly locked: Set<{ readonly message: StoredMessage; readonly dead: boolean }>;
  readonly seen: Map<string, { readonly at: number; readonly sequence: number }>;
}

/** Every queue in the journal: its number by name, and its state by number. */
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

function renumber(queue: MutableQueue, entry: JournalEntry & { kind: 'renumber' }): void {
  const message = queue.main.get(entry.from);
  if (message === undefined) return;
  const { enqueuedAt, expiresAt } = entry;
  const active: StoredMessage = { ...message, sequence: entry.to, enqueuedAt, expiresAt, state: 'active' };
  queue.main.delete(entry.from);
  queue.main.set(entry.to, active);
}

function used(queue: MutableQueue, sequence: number): void {
  queue.nextSequence = Math.max(queue.nextSequence, sequence + 1);
}

function apply(queue: MutableQueue, entry: JournalEntry): void {
  switch (entry.kind) {
    case 'queue':
      used(queue, entry.nextSequence - 1);
      break;
    case 'put': {
      const { sequence } = entry.message;
      (entry.dead ? queue.dead : queue.main).set(sequence, entry.message);
      markLocked(queue, entry.dead, sequence, entry.locked);
      // This one entry also means that the message has left the queue.
      if (entry.dead) queue.main.delete(sequence);
      used(queue, sequence);
      break;
    }
    case 'update': {
      const message = (entry.dead ? queue.dead : queue.main).get(entry.sequence);
      if (message === undefined) break;
      message.state = entry.state;
      message.deliveryCount = entry.deliveryCount;
      markLocked(queue, entry.dead, entry.sequence, entry.locked);
      break;
    }
    case 'remove':
      (entry.dead ? queue.dead : queue.main).delete(entry.sequence);
      markLocked(queue, entry.dead, entry.sequence, false);
      break;
    case 'renumber':
      renumber(queue, entry);
      used(queue, entry.to);
      break;
    case 'seen':
      queue.seen.set(entry.messageId, { at: entry.at, sequence: entry.sequence });
      used(queue, entry.sequence);
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

/** Replays a journal. Entries about unknown messages are ignored (see `JournalEntry`). */
export function replayEntries(entries: Iterable<JournalEntry>): RestoredState {
  const state: RestoredState = { ids: new Map(), queues: new Map() };
  for (const entry of entries) {
    let queue = state.queues.get(entry.queue);
    if (queue === undefined) {
      queue = emptyQueue();
      state.queues.set(entry.queue, queue);
    }
    if (entry.kind === 'queue') state.ids.set(entry.name, entry.queue);
    apply(queue, entry);
  }
  for (const queue of state.queues.values()) collectLocked(queue);
  return state;
}
