import fc from 'fast-check';
import rhea from 'rhea';
import { expect, test } from 'vitest';
import { BrokerError } from '../broker-error.ts';
import type { Entity } from './entity.ts';
import { parseMessage } from '../messages/message-codec.ts';
import { Queue, type QueueHost } from './queue.ts';
import { decodeEntry, encodeEntry, type JournalEntry } from '../journal/journal-entries.ts';
import { replayEntries } from '../journal/restore.ts';
import type { MessageLock, StoredMessage } from '../messages/stored-message.ts';
import { testQueue } from '../test-broker.ts';

const LOCK_MS = 100;
const DEFINITION = testQueue({
  maxDeliveryCount: 3,
  lockDurationMs: LOCK_MS,
  duplicateDetectionWindowMs: 1_000,
});

/** A queue whose clock the test sets and whose journal it reads. */
class Bench {
  now = 1_000_000;
  readonly journal: Buffer[] = [];
  readonly queue: Queue;
  readonly held: MessageLock[] = [];

  constructor() {
    const host: QueueHost = {
      now: () => this.now,
      append: (entry) => this.journal.push(encodeEntry(entry)),
      wakeAt: () => undefined,
      ready: () => undefined,
    };
    this.queue = new Queue(7, DEFINITION, host);
  }

  send(id: number, change: { ttlMs?: number; scheduledFor?: number } = {}): void {
    const encoded = rhea.message.encode({ message_id: `id-${String(id)}`, body: `body ${String(id)}` });
    this.queue.enqueue({ ...parseMessage(encoded), ...change });
  }

  /** Locks the next message and remembers the lock. */
  receive(entity: Entity = this.queue.main): void {
    const lock = this.queue.lockNext(entity);
    if (lock !== undefined) this.held.push(lock);
  }
}

type Step = (bench: Bench) => void;

function settleWith(settle: (queue: Queue, entity: Entity, token: string) => void): (pick: number) => Step {
  return (pick) => (bench) => {
    const [lock] = bench.held.splice(pick % Math.max(bench.held.length, 1), 1);
    if (lock === undefined) return;
    const entity =
      bench.queue.dead.get(lock.message.sequence) === lock.message ? bench.queue.dead : bench.queue.main;
    try {
      settle(bench.queue, entity, lock.token);
    } catch (error) {
      // Steps come in any order, so a lost lock or a dead letter that is dead-lettered again is expected.
      if (!(error instanceof BrokerError)) throw error;
    }
  };
}

const small = fc.nat({ max: 5 });
const steps: fc.Arbitrary<Step>[] = [
  fc.nat({ max: 30 }).map((id) => (bench) => bench.send(id)),
  fc.nat({ max: 30 }).map((id) => (bench) => bench.send(id, { ttlMs: 150 })),
  fc.nat({ max: 30 }).map((id) => (bench) => bench.send(id, { scheduledFor: bench.now + 120 })),
  fc.constant((bench) => bench.receive()),
  fc.constant((bench) => bench.receive(bench.queue.dead)),
  fc.constant((bench) => void bench.queue.takeNext(bench.queue.main)),
  small.map(settleWith((queue, entity, token) => queue.complete(entity, token))),
  small.map(settleWith((queue, entity, token) => queue.abandon(entity, token, {}))),
  small.map(settleWith((queue, entity, token) => queue.abandon(entity, token, { note: 'changed' }))),
  small.map(settleWith((queue, entity, token) => queue.defer(entity, token, {}))),
  small.map(settleWith((queue, entity, token) => queue.release(entity, token))),
  small.map(settleWith((queue, entity, token) => queue.deadLetter(entity, token, { DeadLetterReason: 'r' }))),
  small.map(settleWith((queue, entity, token) => queue.renewLocks(entity, [token]))),
  fc.nat({ max: 130 }).map((ms) => (bench) => {
    bench.now += ms;
    bench.queue.runDeadlines();
  }),
];

function summarise(messages: Iterable<StoredMessage>): unknown[] {
  return [...messages]
    .sort((a, b) => a.sequence - b.sequence)
    .map(({ lock: _, content, ...rest }) => ({ ...rest, content: content.toString('hex') }));
}

/** The queue's state after all locks have expired. A restored queue starts in this state. */
function settledState(queue: Queue): unknown {
  return {
    main: summarise(queue.main.all()),
    dead: summarise(queue.dead.all()),
    counts: [queue.main.counts, queue.dead.counts],
  };
}

function restoreFrom(bench: Bench, journal: readonly Buffer[]): Queue {
  const restored = replayEntries(journal.map((bytes): JournalEntry => decodeEntry(bytes)));
  const state = restored.queues.get(7);
  const fresh = new Bench();
  fresh.now = bench.now;
  if (state !== undefined) fresh.queue.restore(state);
  fresh.queue.runDeadlines();
  return fresh.queue;
}

function expectSame(bench: Bench, journal: readonly Buffer[]): void {
  bench.now += 2 * LOCK_MS; // all locks have expired
  // The restored queue first loses its locks and then runs its deadlines, as the live one does here.
  const restored = restoreFrom(bench, journal);
  bench.queue.runDeadlines();
  expect(settledState(restored)).toEqual(settledState(bench.queue));
  // In both, the next message gets the same number and is compared with the same message ids.
  for (const id of [3, 99]) {
    const message = parseMessage(rhea.message.encode({ message_id: `id-${String(id)}`, body: '' }));
    expect(restored.enqueue(message)).toBe(bench.queue.enqueue(message));
  }
}

test('a replayed journal gives the queue that wrote it', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(...steps), { maxLength: 60 }), (run) => {
      const bench = new Bench();
      for (const step of run) step(bench);
      expectSame(bench, bench.journal);
    }),
    { numRuns: 300 },
  );
});

test('a journal compacted while the queue changes gives the same queue', () => {
  const run = fc.array(fc.oneof(...steps), { maxLength: 40 });
  fc.assert(
    fc.property(
      run,
      fc.array(fc.tuple(fc.oneof(...steps), fc.nat({ max: 3 })), { maxLength: 40 }),
      run,
      (before, during, after) => {
        const bench = new Bench();
        for (const step of before) step(bench);
        // Like the journal: new entries go into the new file too, between slices of the live state.
        const compacted: Buffer[] = [];
        const live = bench.queue.snapshot();
        const draw = (count: number): void => {
          for (let drawn = 0; drawn < count; drawn += 1) {
            const next = live.next();
            if (next.done === true) return;
            compacted.push(encodeEntry(next.value));
          }
        };
        for (const [step, count] of during) {
          const written = bench.journal.length;
          step(bench);
          draw(count);
          compacted.push(...bench.journal.slice(written));
        }
        draw(Infinity);
        const written = bench.journal.length;
        for (const step of after) step(bench);
        compacted.push(...bench.journal.slice(written));
        expectSame(bench, compacted);
      },
    ),
    { numRuns: 300 },
  );
});

test('no message is ever held by two receivers at once', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(...steps), { maxLength: 80 }), (run) => {
      const bench = new Bench();
      for (const step of run) {
        step(bench);
        const current = bench.held.filter((lock) => lock.message.lock === lock);
        expect(new Set(current.map((lock) => lock.message)).size).toBe(current.length);
      }
    }),
    { numRuns: 200 },
  );
});

test('a due scheduled message gets a new number and goes to the end of the queue', () => {
  const bench = new Bench();
  bench.send(1, { scheduledFor: bench.now + 50 });
  bench.send(2);
  bench.now += 60;
  bench.queue.runDeadlines();
  bench.receive();
  bench.receive();
  expect(bench.held.map((lock) => [lock.message.messageId, lock.message.sequence])).toEqual([
    ['id-2', 2],
    ['id-1', 3],
  ]);
});

test('an expired message is not delivered, but one that is locked can still be completed', () => {
  const bench = new Bench();
  bench.send(1, { ttlMs: 50 });
  bench.send(2, { ttlMs: 50 });
  bench.receive();
  bench.now += 60;
  bench.queue.runDeadlines();
  expect(bench.queue.main.counts).toMatchObject({ active: 1, locked: 1 });
  expect(bench.queue.lockNext(bench.queue.main)).toBeUndefined();
  bench.queue.complete(bench.queue.main, bench.held[0]?.token ?? '');
  expect(bench.queue.main.counts.active).toBe(0);
});
