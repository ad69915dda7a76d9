import { performance } from 'node:perf_hooks';
import { log } from '../log/log.ts';
import { DependencyUnavailable, isConnectionLost } from './errors.ts';

/** How patient a watch is, in ms. */
export interface Patience {
  /** A statement that takes longer than this has the server asked whether it lives. */
  readonly slowMs: number;
  /** A server that has not answered that within this is away. */
  readonly probeMs: number;
  /** Between two looks whether a server that is away is back. */
  readonly retryMs: number;
  /** A statement that takes longer than this, on a server that lives, has lost its connection without a word. */
  readonly lostMs: number;
}

/**
 * `slowMs` + `probeMs` and a look's own time stay under the two seconds after which a client is to have its 503, and most of
 * it is the probe's: a server, or this process, that is merely busy pauses for a second now and then.
 */
const PATIENCE: Patience = {
  slowMs: 450,
  probeMs: 1_250,
  retryMs: 200,
  // Above the server's own limit of a statement, 10 s: one that is only slow ends by itself before.
  lostMs: 12_000,
};

/** How a server is asked whether it lives. */
export interface Probe {
  /** Resolves once it has answered, on a connection that is kept from one question to the next. */
  ask(): Promise<unknown>;
  /** Drops that connection; the next question makes a new one. */
  renew(): void;
  close(): Promise<void>;
}

/** What a watch does to a pool. */
export interface WatchedPool {
  /** Begins anew with new connections at once: the old ones may be dead without knowing it. */
  drop(): void;
  /** The same, but what runs is finished on the old ones. */
  refresh(): void;
}

/**
 * Where one connection broke, its neighbours are taken out of use with it, though not more often than this: the driver
 * may keep half a message for a connection that broke while it wrote, and would send it at the head of the next one.
 */
const REFRESH_MIN_MS = 1_000;

interface Waiting {
  readonly since: number;
  /** Transactions take as long as they take: their statements have the server's own limit each. */
  readonly mayBeLost: boolean;
  readonly giveUp: (error: Error) => void;
}

type Outcome = 'answered' | 'refused' | 'silent';

/** Silent after a time, for a race. What lies in a socket after a stall of this process is still read first. */
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
 * Watches one database server for all pools that use it. The driver waits for a server as long as it takes, and lines up
 * what cannot be sent; a request must not. So nothing is begun while the server is away, what runs is given up the moment
 * it is found to be, and the pools begin anew with connections of their own. Whether a statement that was given up has
 * happened is not known: as with every lost connection.
 */
export class HealthMonitor {
  readonly #probe: Probe;
  readonly #patience: Patience;
  readonly #waiting = new Set<Waiting>();
  readonly #pools = new Set<WatchedPool>();
  #away = false;
  #asking = false;
  #closed = false;
  #askedAt: number | undefined;
  #broken = false;
  #refreshedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(probe: Probe, patience: Patience = PATIENCE) {
    this.#probe = probe;
    this.#patience = patience;
  }

  addPool(pool: WatchedPool): void {
    this.#pools.add(pool);
  }

  /**
   * Settles as `run` does, or rejects within about 1.5 s of the server's going away.
   * @throws DependencyUnavailable without calling `run`, while the server is away.
   */
  guard<T>(run: () => Promise<T>, mayBeLost = true): Promise<T> {
    if (this.#away) return Promise.reject(new DependencyUnavailable('The database'));
    return new Promise<T>((resolve, reject) => {
      const one: Waiting = { since: performance.now(), mayBeLost, giveUp: reject };
      this.#waiting.add(one);
      if (this.#timer === undefined) this.#lookLater();
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

  /** Ends the watch; nothing is guarded any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#probe.close();
  }

  #onConnectionLost(): void {
    this.#broken = true;
    void this.#ask();
  }

  #lookLater(): void {
    const ms = this.#away ? this.#patience.retryMs : this.#patience.slowMs / 4;
    this.#timer = setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    const { slowMs, lostMs } = this.#patience;
    const now = performance.now();
    const [oldest] = this.#waiting;
    if (this.#askedAt === undefined) void this.#connect();
    else if (this.#away) void this.#ask();
    else if (oldest !== undefined && now - oldest.since > slowMs && now - this.#askedAt > slowMs)
      void this.#ask();
    for (const one of this.#waiting) {
      if (!one.mayBeLost || now - one.since <= lostMs) continue;
      log.warn('database-connection-lost');
      this.#giveUp();
      break;
    }
    if (this.#away || this.#waiting.size > 0) this.#lookLater();
  }

  /** Connects, so that what befalls the pools' connections befalls the watch's own as well. What it says decides nothing. */
  async #connect(): Promise<void> {
    this.#askedAt = performance.now();
    await this.#answer();
  }

  /** Asks the server, once more on a new connection where the old one turns out to be closed. */
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
    const silence = silenceAfter(this.#patience.probeMs);
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
    const changed = alive === this.#away;
    if (alive && !changed && this.#broken) this.#refresh();
    this.#broken = false;
    if (!changed) return;
    this.#away = !alive;
    if (alive) {
      log.info('database-back');
      return;
    }
    log.warn('database-away', { waiting: this.#waiting.size });
    this.#giveUp();
    if (this.#timer === undefined) this.#lookLater();
  }

  #refresh(): void {
    const now = performance.now();
    if (now - this.#refreshedAt < REFRESH_MIN_MS) return;
    this.#refreshedAt = now;
    for (const pool of this.#pools) pool.refresh();
  }

  /** Gives up everything that runs, and the connections that it runs on. */
  #giveUp(): void {
    const given = [...this.#waiting];
    this.#waiting.clear();
    for (const one of given) one.giveUp(new DependencyUnavailable('The database'));
    for (const pool of this.#pools) pool.drop();
  }
}
