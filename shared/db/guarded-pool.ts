import type { Pool } from './databases.ts';
import type { ServerWatch } from './server-watch.ts';
import { beginTransaction, type LiveTransaction } from './transaction.ts';

/** How long a pool that is replaced may go on with what it has begun. */
const FINISH_S = 30;

/**
 * A pool that does not wait for a server that is away. Whoever uses it takes the driver's pool for one statement or
 * transaction at a time, since it is replaced when its server was away.
 */
export class GuardedPool {
  readonly #open: () => Pool;
  readonly #watch: ServerWatch;
  #pool: Pool;

  constructor(open: () => Pool, watch: ServerWatch) {
    this.#open = open;
    this.#watch = watch;
    this.#pool = open();
    watch.addPool({ drop: () => this.#renew(0), refresh: () => this.#renew(FINISH_S) });
  }

  /** Runs one statement. @throws DependencyUnavailable when the server is away; what the statement throws. */
  run<T>(statement: (pool: Pool) => Promise<T>): Promise<T> {
    return this.#watch.guard(() => statement(this.#pool));
  }

  /** Runs several statements in one transaction; a throw rolls back. @throws as {@link run}. */
  begin<T>(run: (transaction: LiveTransaction) => Promise<T>): Promise<T> {
    return this.#watch.guard(() => beginTransaction(this.#pool, run), false);
  }

  /** Ends all connections once their statements are done, or after some seconds. */
  end(seconds: number): Promise<void> {
    return this.#pool.end({ timeout: seconds });
  }

  #renew(seconds: number): void {
    const old = this.#pool;
    this.#pool = this.#open();
    old.end({ timeout: seconds }).catch(() => undefined);
  }
}
