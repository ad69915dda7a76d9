import type { Pool, Transaction } from './pool.ts';
import { DependencyUnavailable, isConnectionLost } from './errors.ts';

/** The connection of a transaction, until the connection is lost. */
export interface LiveTransaction extends Pick<Transaction, 'json' | 'unsafe'> {
  /** Runs statements in a savepoint. If `run` throws, only they are undone, and the transaction continues. */
  savepoint<T>(run: (inner: LiveTransaction) => Promise<T>): Promise<T>;
}

type Unsafe = Transaction['unsafe'];

class Live {
  readonly #transaction: Transaction;
  lost = false;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  readonly json: Transaction['json'] = (value) => this.#transaction.json(value);

  readonly unsafe: Unsafe = ((...sent: Parameters<Unsafe>) => this.#send(sent)) as Unsafe;

  async savepoint<T>(run: (inner: LiveTransaction) => Promise<T>): Promise<T> {
    if (this.lost) throw new DependencyUnavailable('The database');
    try {
      const { value } = await this.#transaction.savepoint((inner) => runLive(new Live(inner), run));
      return value;
    } catch (error) {
      if (isConnectionLost(error)) this.lost = true;
      throw error;
    }
  }

  async #send(sent: Parameters<Unsafe>): Promise<unknown> {
    if (this.lost) throw new DependencyUnavailable('The database');
    try {
      return await this.#transaction.unsafe(...sent);
    } catch (error) {
      if (isConnectionLost(error)) this.lost = true;
      throw error;
    }
  }
}

const NEVER = new Promise<never>(() => undefined);

/** Runs statements. Never resolves if the connection was lost, so that the driver sends nothing more on it. */
async function runLive<T>(live: Live, run: (live: LiveTransaction) => Promise<T>): Promise<{ value: T }> {
  try {
    const value = await run(live);
    return live.lost ? await NEVER : { value };
  } catch (error) {
    if (live.lost) return NEVER;
    throw error;
  }
}

/**
 * Runs several statements in one transaction. A throw rolls back. It replaces the driver's own `begin`, which sends COMMIT
 * or ROLLBACK even when the connection is lost. The driver then throws where nothing can catch it, and the process would
 * end. Here, a transaction with a lost connection never returns to the driver. The driver rejects when the connection ends.
 * @throws what `run` throws; what the driver throws.
 */
export async function beginTransaction<T>(
  pool: Pool,
  run: (transaction: LiveTransaction) => Promise<T>,
): Promise<T> {
  let live: Live | undefined;
  const begun = pool.begin((transaction) => {
    live = new Live(transaction);
    return runLive(live, run);
  });
  try {
    const { value } = await begun;
    return value;
  } catch (error) {
    // Set this first: otherwise a statement could still be sent on the lost connection.
    if (live !== undefined) live.lost = true;
    throw error;
  }
}
