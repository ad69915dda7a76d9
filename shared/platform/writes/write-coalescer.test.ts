import { describe, expect, test } from 'vitest';
import { WriteCoalescer, type CoalescedRow, type RowOutcome } from './write-coalescer.ts';

const WRITTEN: RowOutcome = { free: true, fresh: true };

/** A database that runs statements one by one, each when the test says so. */
class Database {
  readonly statements: string[][] = [];
  idle = 0;
  readonly #answers: (() => void)[] = [];
  readonly #refuse: (ids: readonly string[]) => Error | undefined;

  constructor(refuse: (ids: readonly string[]) => Error | undefined = () => undefined) {
    this.#refuse = refuse;
  }

  readonly coalescer = new WriteCoalescer(
    (rows) => {
      const ids = rows.map(({ requestId }) => requestId);
      this.statements.push(ids);
      return new Promise((resolve, reject) => {
        this.#answers.push(() => {
          const error = this.#refuse(ids);
          if (error === undefined) resolve(new Map(ids.map((id) => [id, WRITTEN])));
          else reject(error);
        });
      });
    },
    () => {
      this.idle += 1;
    },
  );

  /** Answers statements until none is left. */
  async answerAll(): Promise<void> {
    for (let answer = this.#answers.shift(); answer !== undefined; answer = this.#answers.shift()) {
      answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function row(
  requestId: string,
  { key, characters = 100 }: { key?: string; characters?: number } = {},
): CoalescedRow {
  return { requestId, idempotencyKey: key, row: [], characters };
}

function refusal(code: string): Error {
  return Object.assign(new Error('refused'), { code });
}

describe('writes of one tenant and kind', () => {
  test('are sent at once while nothing runs, and together when they arrive during a statement', async () => {
    const database = new Database();
    const answers = ['a', 'b', 'c'].map((id) => database.coalescer.add([row(id)]));
    expect(database.statements).toEqual([['a']]);
    await database.answerAll();
    expect(database.statements).toEqual([['a'], ['b', 'c']]);
    const outcomes = await Promise.all(answers);
    expect(outcomes.map((outcome, n) => outcome.get(['a', 'b', 'c'][n] ?? ''))).toEqual([
      WRITTEN,
      WRITTEN,
      WRITTEN,
    ]);
    expect(database.idle).toBe(1);
  });

  test('are all written, also when they are many and large', async () => {
    const database = new Database();
    const ids = Array.from({ length: 100 }, (_, n) => String(n));
    const large = (n: number): number => (n % 40 === 0 ? 600_000 : 100);
    const answers = ids.map((id, n) => database.coalescer.add([row(id, { characters: large(n) })]));
    await database.answerAll();
    await Promise.all(answers);
    expect(database.statements.flat().toSorted((a, b) => Number(a) - Number(b))).toEqual(ids);
    expect(Math.max(...database.statements.map(({ length }) => length))).toBeLessThanOrEqual(32);
    // A row that is too large for a shared statement is sent alone.
    for (const statement of database.statements)
      if (statement.some((id) => large(Number(id)) > 100)) expect(statement).toHaveLength(1);
  });

  test('with the same idempotency key never share a statement', async () => {
    const database = new Database();
    const answers = [
      database.coalescer.add([row('first')]),
      ...['a', 'b', 'c'].map((id) =>
        database.coalescer.add([row(id, { key: id === 'b' ? 'other' : 'same' })]),
      ),
    ];
    await database.answerAll();
    await Promise.all(answers);
    expect(database.statements).toEqual([['first'], ['a', 'b'], ['c']]);
  });

  test('are refused only for their own faults', async () => {
    const database = new Database((ids) => (ids.includes('bad') ? refusal('23505') : undefined));
    const answers = ['first', 'good', 'bad', 'fine'].map((id) => database.coalescer.add([row(id)]));
    const settled = Promise.allSettled(answers);
    await database.answerAll();
    const outcomes = await settled;
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  });

  test('all fail at once when the database is unavailable, also the waiting ones', async () => {
    const database = new Database(() => refusal('CONNECTION_CLOSED'));
    const answers = ['first', 'a', 'b'].map((id) => database.coalescer.add([row(id)]));
    const settled = Promise.allSettled(answers);
    await database.answerAll();
    const outcomes = await settled;
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(database.statements).toEqual([['first']]);
    expect(database.idle).toBe(1);
  });
});
