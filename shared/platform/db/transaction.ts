import type { Pool, Transaction } from './pool.ts';
import { DependencyUnavailable, isConnectionLost } from './errors.ts';

/** A transaction's connection, as long as it is there. */
export interface LiveTransaction extends Pick<Transaction, 'json' | 'unsafe'> {
  /** Runs statements that are undone alone where `run` throws: the transaction goes on. */
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

/** Runs statements; never resolves where the connection was lost meanwhile, so that the driver sends nothing more on it. */
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
 * Runs several statements in one transaction; a throw rolls back. In place of the driver's own `begin`, which sends a
 * COMMIT or ROLLBACK even when the connection is gone, and then throws where nobody can catch it: the process would end.
 * Here a transaction whose connection is lost is never given back to the driver, which rejects at the connection's end.
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
    // Set before anything else can run that would send on the lost connection.
    if (live !== undefined) live.lost = true;
    throw error;
  }
}
