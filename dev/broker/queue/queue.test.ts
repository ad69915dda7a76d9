import fc from 'fast-check';
import rhea from 'rhea';
import { expect, test } from 'vitest';
import { BrokerError } from '../broker-error.ts';
import type { Entity } from './entity.ts';
import { parseMessage } from '../messages/message-codec.ts';
import { Queue, type QueueHost } from './queue.ts';
import { decodeRecord, encodeRecord, type JournalRecord } from '../journal/journal-records.ts';
import { replayRecords } from '../journal/restore.ts';
import type { MessageLock, StoredMessage } from '../messages/stored-message.ts';
import { testQueue } from '../test-broker.ts';

const LOCK_MS = 100;
const DEFINITION = testQueue({
  maxDeliveryCount: 3,
  lockDurationMs: LOCK_MS,
  duplicateDetectionWindowMs: 1_000,
});

/** A queue on a clock that the test moves, with a journal that it reads. */
class Bench {
  now = 1_000_000;
  readonly journal: Buffer[] = [];
  readonly queue: Queue;
  readonly held: MessageLock[] = [];

  constructor() {
    const host: QueueHost = {
      now: () => this.now,
      append: (record) => this.journal.push(encodeRecord(record)),
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
      // Steps come in any order: a lost lock, or a dead letter dead-lettered, is part of the game.
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

/** What the queue is once every lock has run out: the state in which a restored one starts. */
function settledState(queue: Queue): unknown {
  return {
    main: summarise(queue.main.all()),
    dead: summarise(queue.dead.all()),
    counts: [queue.main.counts, queue.dead.counts],
  };
}

function restoreFrom(bench: Bench, journal: readonly Buffer[]): Queue {
  const restored = replayRecords(journal.map((bytes): JournalRecord => decodeRecord(bytes)));
  const state = restored.queues.get(7);
  const fresh = new Bench();
  fresh.now = bench.now;
  if (state !== undefined) fresh.queue.restore(state);
  fresh.queue.runDeadlines();
  return fresh.queue;
}

function expectSame(bench: Bench, journal: readonly Buffer[]): void {
  bench.now += 2 * LOCK_MS; // every lock has run out
  // The restored queue sees its locks lost first and the rest of the time pass after, as the live one does here.
  const restored = restoreFrom(bench, journal);
  bench.queue.runDeadlines();
  expect(settledState(restored)).toEqual(settledState(bench.queue));
  // The next message gets the same number and meets the same memory of duplicates in both.
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

test('a journal compacted while the queue goes on gives the same queue', () => {
  const run = fc.array(fc.oneof(...steps), { maxLength: 40 });
  fc.assert(
    fc.property(
      run,
      fc.array(fc.tuple(fc.oneof(...steps), fc.nat({ max: 3 })), { maxLength: 40 }),
      run,
      (before, during, after) => {
        const bench = new Bench();
        for (const step of before) step(bench);
        // As the journal does it: new records go into the new file too, between slices of the live state.
        const compacted: Buffer[] = [];
        const live = bench.queue.snapshot();
        const draw = (count: number): void => {
          for (let drawn = 0; drawn < count; drawn += 1) {
            const next = live.next();
            if (next.done === true) return;
            compacted.push(encodeRecord(next.value));
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

test('a scheduled message joins the end of the line, under a new number', () => {
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

test('an expired message is not delivered, but one that is held can still be completed', () => {
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
