import { DependencyUnavailable, isConnectionLost } from './errors.ts';
import type { Pool } from './pool.ts';
import type { HealthMonitor } from './health-monitor.ts';
import { requireSupportedServer } from './server-version.ts';
import { beginTransaction, type LiveTransaction } from './transaction.ts';

/** How long a replaced connection may still run the statements that it has begun. */
const FINISH_S = 30;
/**
 * A pool starts with this many connections, and each successful use allows one more. A connection costs the server a
 * process, and both sides some ten milliseconds of key derivation. If a pool opened all of them at once, for example after
 * an outage, the first answers would wait for all of that.
 */
const FIRST_CONNECTIONS = 4;
/**
 * Short statements in progress on one connection. With more, they save hardly any system calls and wait longer for each
 * other.
 */
const SHARED_MAX = 8;

/** How a statement uses a connection. */
export interface ConnectionUse {
  /**
   * True for a statement that reads or writes a few rows by key within a few milliseconds. It shares a connection, and so
   * system calls, with other short statements. It waits for the ones before it.
   */
  readonly short?: boolean;
}

/** One connection: a pool of the driver with only one connection. */
class Connection {
  readonly pool: Pool;
  #uses = 0;
  #alone = false;
  #greeting: Promise<unknown> | undefined;
  #ending: { readonly timer: NodeJS.Timeout; readonly ended: () => void } | undefined;

  constructor(pool: Pool) {
    this.pool = pool;
  }

  get idle(): boolean {
    return this.#uses === 0;
  }

  get shareable(): boolean {
    return !this.#alone && this.#uses > 0 && this.#uses < SHARED_MAX;
  }

  /**
   * Connects if the connection is new. The server then sends its version, so an old server is refused before it gets a
   * statement of a caller.
   * @throws what the driver throws.
   */
  async greet(): Promise<void> {
    this.#greeting ??= this.pool.unsafe('select 1');
    try {
      await this.#greeting;
    } catch (error) {
      this.#greeting = undefined;
      throw error;
    }
  }

  take(alone: boolean): this {
    this.#uses += 1;
    this.#alone = alone;
    return this;
  }

  giveBack(): void {
    this.#uses -= 1;
    if (this.#uses === 0) this.#ending?.ended();
  }

  /** Ends the connection when nothing uses it any more, or after some seconds. What still runs then is rejected. */
  async end(seconds: number): Promise<void> {
    // The driver comes last: when its pool ends, it drops the statements that still wait for an answer.
    if (seconds > 0 && this.#uses > 0)
      await new Promise<void>((ended) => {
        this.#ending = { ended, timer: setTimeout(ended, seconds * 1000).unref() };
      });
    clearTimeout(this.#ending?.timer);
    await this.pool.end({ timeout: 0 }).catch(() => undefined);
  }
}

/** The database of a pool, and for what its connections are. */
export interface PoolOf {
  readonly database: string;
  readonly role: 'app' | 'cross_tenant';
}

/** The connections of a pool, and the callers that wait for one. */
export interface PoolSize {
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
}

/** How a pool is made. */
export interface GuardedPoolOptions {
  /** Whose connections they are, for metrics and spans. */
  readonly of?: PoolOf;
  /** Opens a pool of the driver's with one connection. */
  readonly open: () => Pool;
  /** How many connections there may be. */
  readonly max: number;
  /** False when no statement can share a connection, because none is prepared. */
  readonly shares?: boolean;
}

interface Turn {
  readonly short: boolean;
  readonly take: (connection: Connection) => void;
  readonly refuse: (error: Error) => void;
}

/**
 * A pool that does not wait for a server that is unavailable. Short statements share connections, up to a limit. Every other
 * statement and every transaction has its own connection. When no connection is free, callers wait here. All waiting callers
 * are rejected as soon as the server is found unavailable or their connection breaks.
 */
export class GuardedPool {
  /** Undefined for a pool without a name, in tests. */
  readonly of: PoolOf | undefined;
  readonly #open: () => Pool;
  readonly #max: number;
  readonly #shares: boolean;
  readonly #monitor: HealthMonitor;
  #connections: Connection[] = [];
  #limit: number;
  readonly #waiting: Turn[] = [];
  #ended = false;

  constructor({ of, open, max, shares = true }: GuardedPoolOptions, monitor: HealthMonitor) {
    this.of = of;
    this.#open = open;
    this.#max = max;
    this.#shares = shares;
    this.#limit = Math.min(FIRST_CONNECTIONS, max);
    this.#monitor = monitor;
    monitor.addPool({ drop: () => void this.#renew(0), refresh: () => void this.#renew(FINISH_S) });
  }

  /** The connections as they are now. */
  get size(): PoolSize {
    const idle = this.#connections.filter((connection) => connection.idle).length;
    return {
      used: this.#connections.length - idle,
      idle,
      waiting: this.#waiting.length,
      max: this.#max,
    };
  }

  /** Runs one statement. @throws DependencyUnavailable when the server is unavailable; what the statement throws. */
  run<T>(statement: (pool: Pool) => Promise<T>, { short = false }: ConnectionUse = {}): Promise<T> {
    return this.#monitor.guard(() => this.#inTurn(statement, short && this.#shares));
  }

  /** Runs several statements in one transaction. A throw rolls back. @throws as {@link run}. */
  begin<T>(run: (transaction: LiveTransaction) => Promise<T>): Promise<T> {
    return this.#monitor.guard(() => this.#inTurn((pool) => beginTransaction(pool, run), false), false);
  }

  /** Ends all connections when their statements are done, or after some seconds. Later calls are rejected. */
  async end(seconds: number): Promise<void> {
    this.#ended = true;
    await this.#renew(seconds);
  }

  async #inTurn<T>(use: (pool: Pool) => Promise<T>, short: boolean): Promise<T> {
    if (this.#ended) throw new DependencyUnavailable('The database');
    const free = this.#waiting.length === 0 ? this.#find(short) : undefined;
    const connection =
      free ?? (await new Promise<Connection>((take, refuse) => this.#waiting.push({ short, take, refuse })));
    try {
      await connection.greet();
      requireSupportedServer(connection.pool);
      const value = await use(connection.pool);
      if (this.#limit < this.#max && this.#connections.includes(connection)) this.#limit += 1;
      return value;
    } catch (error) {
      if (isConnectionLost(error)) this.#discard(connection);
      throw error;
    } finally {
      connection.giveBack();
      this.#next();
    }
  }

  /**
   * The driver would connect again for each statement that waits in it, one after the other, and would use the rest of the
   * lost connection for the first one. So the connection ends here, even if it was replaced before. All its statements are
   * rejected.
   */
  #discard(connection: Connection): void {
    const at = this.#connections.indexOf(connection);
    if (at >= 0) this.#connections.splice(at, 1);
    void connection.end(0);
  }

  /**
   * Takes a connection. Short statements fill the first connections, so that the last ones stay idle for callers that need
   * their own.
   */
  #find(short: boolean): Connection | undefined {
    const found = short
      ? (this.#connections.find(({ shareable }) => shareable) ?? this.#connections.find(({ idle }) => idle))
      : this.#connections.findLast(({ idle }) => idle);
    return (found ?? this.#add())?.take(!short);
  }

  #add(): Connection | undefined {
    if (this.#connections.length >= this.#limit) return undefined;
    const connection = new Connection(this.#open());
    this.#connections.push(connection);
    return connection;
  }

  #next(): void {
    for (;;) {
      const [turn] = this.#waiting;
      const connection = turn === undefined ? undefined : this.#find(turn.short);
      if (turn === undefined || connection === undefined) return;
      this.#waiting.shift();
      turn.take(connection);
    }
  }

  async #renew(seconds: number): Promise<void> {
    const old = this.#connections;
    this.#connections = [];
    this.#limit = Math.min(FIRST_CONNECTIONS, this.#max);
    // A rejected client tries again a moment later. If callers stayed in the queue from one loss to the next, they would
    // wait for seconds.
    for (const { refuse } of this.#waiting.splice(0)) refuse(new DependencyUnavailable('The database'));
    await Promise.all(old.map((connection) => connection.end(seconds)));
  }
}
