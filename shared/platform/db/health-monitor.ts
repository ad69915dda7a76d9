import { performance } from 'node:perf_hooks';
import { log } from '../log/log.ts';
import { DependencyUnavailable, isConnectionLost } from './errors.ts';

/** The time limits of a health monitor, in ms. */
export interface MonitorLimits {
  /** After this, a running statement makes the monitor check the server. */
  readonly slowMs: number;
  /** A server that does not answer a check within this is unavailable. */
  readonly probeMs: number;
  /** Between two checks of an unavailable server. */
  readonly retryMs: number;
  /** After this, on a server that answers checks, a running statement has lost its connection. */
  readonly lostMs: number;
}

/**
 * `slowMs` + `probeMs` and the time of one tick stay under two seconds, because a client must get its 503 within them. Most
 * of that time is for the probe, since a busy server or process may pause for a second.
 */
const MONITOR_LIMITS: MonitorLimits = {
  slowMs: 450,
  probeMs: 1_250,
  retryMs: 200,
  // Above the server's limit of 10 s for a statement: a statement that is only slow ends before this.
  lostMs: 12_000,
};

/** Checks whether a server answers. */
export interface Probe {
  /** Resolves when the server has answered. Keeps its connection for the next check. */
  ask(): Promise<unknown>;
  /** Drops that connection. The next check makes a new one. */
  renew(): void;
  close(): Promise<void>;
}

/** What a monitor does with a pool. */
export interface MonitoredPool {
  /** Starts again with new connections at once, because the old ones may be broken without a notice. */
  drop(): void;
  /** The same, but running statements finish on the old connections. */
  refresh(): void;
}

/**
 * When one connection breaks, the pools' other connections are replaced too, at most this often. After a break during a
 * write, the driver may keep half a message of that connection and send it first on the next one.
 */
const REFRESH_MIN_MS = 1_000;

interface Waiting {
  readonly since: number;
  /** False for a transaction: it may be long, and the server limits each of its statements. */
  readonly mayBeLost: boolean;
  readonly giveUp: (error: Error) => void;
}

type Outcome = 'answered' | 'refused' | 'silent';

/**
 * Resolves to `silent` after a time, for a race. After a stall of this process, the data that waits in the socket is read
 * first.
 */
function silenceAfter(ms: number): { outcome: Promise<Outcome>; clear: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const outcome = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => {
      setImmediate(() => setImmediate(() => resolve('silent')));
    }, ms);
  });
  return { outcome, clear: () => clearTimeout(timer) };
}

/**
 * Monitors one database server for all pools that use it. The driver waits for a server without a limit and queues what it
 * cannot send, but a request must not wait that long. So nothing starts while the server is unavailable. As soon as it is
 * found unavailable, running statements are rejected and the pools start again with new connections. A rejected statement
 * may have taken effect, as with every lost connection.
 */
export class HealthMonitor {
  readonly #probe: Probe;
  readonly #limits: MonitorLimits;
  readonly #waiting = new Set<Waiting>();
  readonly #pools = new Set<MonitoredPool>();
  #isUnavailable = false;
  #asking = false;
  #closed = false;
  #askedAt: number | undefined;
  #broken = false;
  #refreshedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(probe: Probe, limits: MonitorLimits = MONITOR_LIMITS) {
    this.#probe = probe;
    this.#limits = limits;
  }

  addPool(pool: MonitoredPool): void {
    this.#pools.add(pool);
  }

  /**
   * Settles as `run` does, or rejects within two seconds after the server becomes unavailable.
   * @throws DependencyUnavailable without calling `run`, while the server is unavailable.
   */
  guard<T>(run: () => Promise<T>, mayBeLost = true): Promise<T> {
    if (this.#isUnavailable) return Promise.reject(new DependencyUnavailable('The database'));
    return new Promise<T>((resolve, reject) => {
      const one: Waiting = { since: performance.now(), mayBeLost, giveUp: reject };
      this.#waiting.add(one);
      if (this.#timer === undefined) this.#scheduleTick();
      run().then(
        (value) => {
          this.#waiting.delete(one);
          resolve(value);
        },
        (error: unknown) => {
          this.#waiting.delete(one);
          if (isConnectionLost(error)) this.#onConnectionLost();
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it is
          reject(error);
        },
      );
    });
  }

  /** Stops monitoring. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#probe.close();
  }

  #onConnectionLost(): void {
    this.#broken = true;
    void this.#ask();
  }

  #scheduleTick(): void {
    const ms = this.#isUnavailable ? this.#limits.retryMs : this.#limits.slowMs / 4;
    this.#timer = setTimeout(() => this.#tick(), ms).unref();
  }

  #tick(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    const { slowMs, lostMs } = this.#limits;
    const now = performance.now();
    const [oldest] = this.#waiting;
    if (this.#askedAt === undefined) void this.#connect();
    else if (this.#isUnavailable) void this.#ask();
    else if (oldest !== undefined && now - oldest.since > slowMs && now - this.#askedAt > slowMs)
      void this.#ask();
    for (const one of this.#waiting) {
      if (!one.mayBeLost || now - one.since <= lostMs) continue;
      log.warn('database-connection-lost');
      this.#giveUp();
      break;
    }
    if (this.#isUnavailable || this.#waiting.size > 0) this.#scheduleTick();
  }

  /**
   * Opens the monitor's own connection, so that it fails together with the pools' connections. The outcome has no effect.
   */
  async #connect(): Promise<void> {
    this.#askedAt = performance.now();
    await this.#answer();
  }

  /** Checks the server. If the old connection turns out to be closed, tries once more on a new one. */
  async #ask(): Promise<void> {
    if (this.#asking || this.#closed) return;
    this.#asking = true;
    const first = await this.#answer();
    const outcome = first === 'refused' ? await this.#answer() : first;
    this.#asking = false;
    this.#askedAt = performance.now();
    this.#conclude(outcome === 'answered');
  }

  async #answer(): Promise<Outcome> {
    const silence = silenceAfter(this.#limits.probeMs);
    const asked = this.#probe.ask().then(
      (): Outcome => 'answered',
      (): Outcome => 'refused',
    );
    const outcome = await Promise.race([asked, silence.outcome]);
    silence.clear();
    if (outcome !== 'answered') this.#probe.renew();
    return outcome;
  }

  #conclude(alive: boolean): void {
    if (this.#closed) return;
    const changed = alive === this.#isUnavailable;
    if (alive && !changed && this.#broken) this.#refresh();
    this.#broken = false;
    if (!changed) return;
    this.#isUnavailable = !alive;
    if (alive) {
      log.info('database-back');
      return;
    }
    log.warn('database-away', { waiting: this.#waiting.size });
    this.#giveUp();
    if (this.#timer === undefined) this.#scheduleTick();
  }

  #refresh(): void {
    const now = performance.now();
    if (now - this.#refreshedAt < REFRESH_MIN_MS) return;
    this.#refreshedAt = now;
    for (const pool of this.#pools) pool.refresh();
  }

  /** Rejects everything that runs, and drops its connections. */
  #giveUp(): void {
    const given = [...this.#waiting];
    this.#waiting.clear();
    for (const one of given) one.giveUp(new DependencyUnavailable('The database'));
    for (const pool of this.#pools) pool.drop();
  }
}
