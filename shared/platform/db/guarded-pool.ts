import { DependencyUnavailable, isConnectionLost } from './errors.ts';
import type { Pool } from './pool.ts';
import type { HealthMonitor } from './health-monitor.ts';
import { requireSupportedServer } from './server-version.ts';
import { beginTransaction, type LiveTransaction } from './transaction.ts';

/** How long a connection that is replaced may go on with what it has begun. */
const FINISH_S = 30;
/**
 * Connections that a pool begins with; each use that ends well allows one more. A connection costs the server a process
 * and both sides some ten milliseconds of key derivation: were all of them made at once, as when a server comes back, the
 * first answers would wait for all of that.
 */
const FIRST_CONNECTIONS = 4;
/** Short statements under way on one connection. More save hardly any system calls, and wait longer for each other. */
const SHARED_MAX = 8;

/** How a statement uses a connection. */
export interface ConnectionUse {
  /**
   * True for a statement that reads or writes a few rows by key, in a few milliseconds: it is sent on a connection that
   * others of its kind are under way on, and so shares their system calls. It waits for those before it.
   */
  readonly short?: boolean;
}

/** One connection: a pool of the driver's with no other. */
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
   * Connects where that is still to be done. A server tells its version when a connection begins, so that one which is too
   * old is refused before it gets anything of the callers'. @throws what the driver throws.
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

  /** Ends the connection once nothing uses it any more, or after some seconds. Whatever still runs then is rejected. */
  async end(seconds: number): Promise<void> {
    // The driver is told last: it would forget what waits in it for an answer to come.
    if (seconds > 0 && this.#uses > 0)
      await new Promise<void>((ended) => {
        this.#ending = { ended, timer: setTimeout(ended, seconds * 1000).unref() };
      });
    clearTimeout(this.#ending?.timer);
    await this.pool.end({ timeout: 0 }).catch(() => undefined);
  }
}

/** How a pool is made. */
export interface GuardedPoolOptions {
  /** Opens a pool of the driver's with one connection. */
  readonly open: () => Pool;
  /** How many connections there may be. */
  readonly max: number;
  /** False where no statement can share a connection, since none is prepared. */
  readonly shares?: boolean;
}

interface Turn {
  readonly short: boolean;
  readonly take: (connection: Connection) => void;
  readonly refuse: (error: Error) => void;
}

/**
 * A pool that does not wait for a server that is away. Short statements share connections, up to a number each; every
 * other statement and every transaction has a connection alone. Whoever finds none waits in line here. All who wait, in
 * line or behind others on a shared connection, are rejected as soon as the server is found away or the connection breaks.
 */
export class GuardedPool {
  readonly #open: () => Pool;
  readonly #max: number;
  readonly #shares: boolean;
  readonly #watch: HealthMonitor;
  #connections: Connection[] = [];
  #limit: number;
  readonly #waiting: Turn[] = [];
  #ended = false;

  /** Opens nothing yet. */
  constructor({ open, max, shares = true }: GuardedPoolOptions, watch: HealthMonitor) {
    this.#open = open;
    this.#max = max;
    this.#shares = shares;
    this.#limit = Math.min(FIRST_CONNECTIONS, max);
    this.#watch = watch;
    watch.addPool({ drop: () => void this.#renew(0), refresh: () => void this.#renew(FINISH_S) });
  }

  /** Runs one statement. @throws DependencyUnavailable when the server is away; what the statement throws. */
  run<T>(statement: (pool: Pool) => Promise<T>, { short = false }: ConnectionUse = {}): Promise<T> {
    return this.#watch.guard(() => this.#inTurn(statement, short && this.#shares));
  }

  /** Runs several statements in one transaction; a throw rolls back. @throws as {@link run}. */
  begin<T>(run: (transaction: LiveTransaction) => Promise<T>): Promise<T> {
    return this.#watch.guard(() => this.#inTurn((pool) => beginTransaction(pool, run), false), false);
  }

  /** Ends all connections once their statements are done, or after some seconds. Whatever comes later is rejected. */
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
   * The driver would connect again for each of those who wait in it, one after the other, and hand what is left of the
   * lost connection to the first of them. So it is ended, whether or not it was replaced before: all of them are rejected.
   */
  #discard(connection: Connection): void {
    const at = this.#connections.indexOf(connection);
    if (at >= 0) this.#connections.splice(at, 1);
    void connection.end(0);
  }

  /**
   * Takes a connection. Short statements fill the first connections, so that the others stay idle for those who need one
   * alone, who take the last one.
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
    // Those who wait are rejected: a client comes again in a moment. Left in line from one loss to the next, it would wait
    // for seconds.
    for (const { refuse } of this.#waiting.splice(0)) refuse(new DependencyUnavailable('The database'));
    await Promise.all(old.map((connection) => connection.end(seconds)));
  }
}
