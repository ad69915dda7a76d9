import { DependencyUnavailable } from './errors.ts';
import type { Pool } from './pool.ts';
import type { HealthMonitor } from './health-monitor.ts';
import { requireSupportedServer } from './server-version.ts';
import { beginTransaction, type LiveTransaction } from './transaction.ts';

/** How long a pool that is replaced may go on with what it has begun. */
const FINISH_S = 30;
/**
 * Connections that a pool begins with; each use that ends well allows one more. A connection costs the server a process
 * and both sides some ten milliseconds of key derivation: were all of them made at once, as when a server comes back, the
 * first answers would wait for all of that.
 */
const FIRST_CONNECTIONS = 4;

interface Turn {
  readonly take: () => void;
  readonly refuse: (error: Error) => void;
}

/**
 * A pool that does not wait for a server that is away. Whoever uses it takes the driver's pool for one statement or
 * transaction at a time, since it is replaced when its server was away; no more of them at a time than it has connections,
 * so that nothing ever waits in a pool that is replaced.
 */
export class GuardedPool {
  readonly #open: () => Pool;
  readonly #max: number;
  readonly #watch: HealthMonitor;
  #pool: Pool;
  #limit: number;
  #running = 0;
  #waiting: Turn[] = [];

  /** `max`: the connections that the pools which `open` opens may have. */
  constructor(open: () => Pool, max: number, watch: HealthMonitor) {
    this.#open = open;
    this.#max = max;
    this.#limit = Math.min(FIRST_CONNECTIONS, max);
    this.#watch = watch;
    this.#pool = open();
    watch.addPool({ drop: () => this.#renew(0), refresh: () => this.#renew(FINISH_S) });
  }

  /** Runs one statement. @throws DependencyUnavailable when the server is away; what the statement throws. */
  run<T>(statement: (pool: Pool) => Promise<T>): Promise<T> {
    return this.#watch.guard(() => this.#inTurn(statement));
  }

  /** Runs several statements in one transaction; a throw rolls back. @throws as {@link run}. */
  begin<T>(run: (transaction: LiveTransaction) => Promise<T>): Promise<T> {
    return this.#watch.guard(() => this.#inTurn((pool) => beginTransaction(pool, run)), false);
  }

  /** Ends all connections once their statements are done, or after some seconds. */
  end(seconds: number): Promise<void> {
    return this.#pool.end({ timeout: seconds });
  }

  async #inTurn<T>(use: (pool: Pool) => Promise<T>): Promise<T> {
    if (this.#running < this.#limit) this.#running += 1;
    else await new Promise<void>((take, refuse) => this.#waiting.push({ take, refuse }));
    const pool = this.#pool;
    try {
      requireSupportedServer(pool);
      const value = await use(pool);
      requireSupportedServer(pool);
      if (pool === this.#pool && this.#limit < this.#max) this.#limit += 1;
      return value;
    } finally {
      this.#running -= 1;
      this.#next();
    }
  }

  #next(): void {
    while (this.#running < this.#limit) {
      const turn = this.#waiting.shift();
      if (turn === undefined) return;
      this.#running += 1;
      turn.take();
    }
  }

  #renew(seconds: number): void {
    const old = this.#pool;
    this.#pool = this.#open();
    this.#limit = Math.min(FIRST_CONNECTIONS, this.#max);
    old.end({ timeout: seconds }).catch(() => undefined);
    // Who waits has waited in vain: for a connection that is gone, and then for those that come in its place. Refused now,
    // a client comes again in a moment; left in line from one loss to the next, it would wait for seconds.
    const refused = this.#waiting;
    this.#waiting = [];
    for (const { refuse } of refused) refuse(new DependencyUnavailable('The database'));
  }
}
