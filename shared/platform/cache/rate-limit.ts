import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { HOUR_MS, DAY_MS } from '../time/clock.ts';
import { log } from '../log/log.ts';
import type { Cache } from './cache.ts';
import { rateLimitPrefix } from './keys.ts';

/** One window of an allowance, as a client sees it. */
export interface RateWindow {
  readonly name: 'hour' | 'day';
  readonly limit: number;
  readonly remaining: number;
  readonly resetSeconds: number;
  /** False when this window had no request left. */
  readonly allowed: boolean;
}

/** Whether a request is allowed, and the windows for the client. */
export interface RateVerdict {
  readonly allowed: boolean;
  readonly windows: readonly RateWindow[];
}

/** The limits of one request, in requests. */
export interface RateLimits {
  readonly hour: number;
  readonly day: number;
  /** The limit of all keys of the tenant together in an hour. Null: each key has only its own limit. */
  readonly tenantHour: number | null;
}

const WINDOW_MS = { hour: HOUR_MS, day: DAY_MS } as const;

/**
 * An instance borrows requests from Redis in small loans, so that a request needs no round trip. A loan is this share of the
 * limit, and smaller when less is left. It is valid until its window ends, so a key with few requests gets its whole limit.
 * When an instance stops, the rest of its loan is lost to the key; it is never granted twice.
 */
const LOAN_SHARE_OF_LIMIT = 1 / 100;
const LOAN_SHARE_OF_REST = 1 / 20;
const LOANS_MAX = 20_000;
/** How long Redis is not asked after it did not answer. A request asks for several windows in turn, and must wait only once. */
const SILENT_MS = 250;

interface Loan {
  left: number;
  remaining: number;
  resetAt: number;
}

/** One limit that counts a request. */
interface Counter {
  readonly window: RateWindow['name'];
  readonly limit: number;
  /** Whose requests are counted: those of a key, or of the whole tenant. */
  readonly of: string;
}

/**
 * Limits requests by key for an hour and a day, and by tenant for an hour (`rate:limit:{tenant}:{key}`). Counts in Redis.
 * Without Redis each instance counts, so a limit becomes looser, and no request is refused wrongly.
 */
export class RateLimiter {
  readonly #cache: Cache;
  readonly #limiters = new Map<string, Promise<Limiters>>();
  readonly #loans = new Map<string, Loan>();
  readonly #borrowing = new Map<string, Promise<boolean>>();
  #silentUntil = 0;

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  /**
   * Takes one request from the allowance of `tenantId`'s key: from all of its windows or, if one of them has nothing left,
   * from none. The day comes last: a request that an hour refuses must not borrow from the day, because no other instance
   * can grant a borrowed request. Loans from the day are larger, so few requests need several loans.
   */
  async take(tenantId: string, keyId: string, limits: RateLimits): Promise<RateVerdict> {
    const now = Date.now();
    const counters = countersOf(tenantId, keyId, limits);
    const taken = this.#takeAll(counters, now) ?? (await this.#takeInTurn(counters, now));
    const refusedBy = counters.find((counter) => !taken.has(counter));
    if (refusedBy !== undefined) {
      for (const loan of taken.values()) loan.left += 1;
      await this.#lookAtUnknown(counters, now);
    }
    const windows = counters.map((counter) => {
      const loan = this.#loans.get(nameOf(counter));
      const isAllowed = taken.has(counter) || (counter !== refusedBy && hasAny(loan, now));
      return windowOf(counter, loan, isAllowed, now);
    });
    return { allowed: refusedBy === undefined, windows: shownWindows(windows) };
  }

  /** Takes a request of each counter if all have one. This is the usual case, and needs no wait. */
  #takeAll(counters: readonly Counter[], now: number): Taken | undefined {
    const taken = new Map<Counter, Loan>();
    for (const counter of counters) {
      const loan = this.#loans.get(nameOf(counter));
      if (!hasRequest(loan, now)) return undefined;
      taken.set(counter, loan);
    }
    for (const loan of taken.values()) loan.left -= 1;
    return taken;
  }

  /**
   * Takes a request of each counter in turn, up to the first that has none. Returns the loans used. The tenant's hour comes
   * after the key's: otherwise a request that the key's hour refuses would hold a unit that the tenant's other keys need.
   */
  async #takeInTurn(counters: readonly Counter[], now: number): Promise<Taken> {
    const taken = new Map<Counter, Loan>();
    for (const counter of counters) {
      const loan = await this.#takeOne(counter, now);
      if (loan === undefined) break;
      taken.set(counter, loan);
    }
    return taken;
  }

  /** The loan that a request was taken from; undefined if nothing is left. */
  async #takeOne(counter: Counter, now: number): Promise<Loan | undefined> {
    for (let granted = true; ;) {
      const loan = this.#loans.get(nameOf(counter));
      if (hasRequest(loan, now)) {
        loan.left -= 1;
        return loan;
      }
      // Concurrent requests may have used up the loan: borrow again.
      if (!granted) return undefined;
      granted = await this.#borrow(counter, now);
    }
  }

  /** Looks up the windows that were not asked, to show them to a refused client. */
  async #lookAtUnknown(counters: readonly Counter[], now: number): Promise<void> {
    const unknown = counters.filter((counter) => !isCurrent(this.#loans.get(nameOf(counter)), now));
    await Promise.all(
      unknown.map(async (counter) => {
        const result = await this.#askEither(counter, (limiter) => limiter.get(keyOf(counter)));
        this.#keep(counter, 0, result ?? new RateLimiterRes(counter.limit, WINDOW_MS[counter.window]), now);
      }),
    );
  }

  /**
   * Returns whether anything was granted. Concurrent requests that need a loan of several share one: it is enough for all of
   * them.
   */
  #borrow(counter: Counter, now: number): Promise<boolean> {
    const name = nameOf(counter);
    const size = loanSize(counter.limit, this.#loans.get(name)?.remaining ?? counter.limit);
    if (size === 1) return this.#borrowAlone(counter, 1, now);
    let borrowing = this.#borrowing.get(name);
    if (borrowing === undefined) {
      borrowing = this.#borrowAlone(counter, size, now).finally(() => this.#borrowing.delete(name));
      this.#borrowing.set(name, borrowing);
    }
    return borrowing;
  }

  async #borrowAlone(counter: Counter, size: number, now: number): Promise<boolean> {
    const { granted, result } = await this.#ask(counter, size);
    this.#keep(counter, granted, result, now);
    return granted > 0;
  }

  #keep(counter: Counter, granted: number, result: RateLimiterRes, now: number): void {
    const [remaining, resetAt] = [result.remainingPoints, now + result.msBeforeNext];
    const current = this.#loans.get(nameOf(counter));
    if (isCurrent(current, now)) {
      // Other requests may have borrowed meanwhile, and may give back: add to their loan, do not replace it.
      Object.assign(current, { left: current.left + granted, remaining, resetAt });
      return;
    }
    if (this.#loans.size >= LOANS_MAX) this.#loans.clear();
    this.#loans.set(nameOf(counter), { left: granted, remaining, resetAt });
  }

  async #ask(counter: Counter, size: number): Promise<Borrowed> {
    const borrowed = await this.#askEither(counter, async (limiter): Promise<Borrowed> => {
      try {
        return { granted: size, result: await limiter.consume(keyOf(counter), size) };
      } catch (refused) {
        if (!(refused instanceof RateLimiterRes)) throw refused;
        // The refused request was counted too. So what was left before it belongs to this instance.
        return { granted: Math.max(0, counter.limit - (refused.consumedPoints - size)), result: refused };
      }
    });
    if (borrowed !== undefined) return borrowed;
    return { granted: 1, result: new RateLimiterRes(counter.limit, WINDOW_MS[counter.window], 0, false) };
  }

  /** The answer of Redis, or of this instance's memory without Redis; undefined when both fail. */
  async #askEither<T>(counter: Counter, ask: (limiter: AnyLimiter) => Promise<T>): Promise<T | undefined> {
    try {
      const { memory, redis } = await this.#limiterFor(counter);
      if (redis === undefined || performance.now() < this.#silentUntil) return await ask(memory);
      // Behind the cache's breaker, so that no request waits here for an unavailable Redis.
      const answer = await this.#cache.attempt(() => ask(redis));
      if (answer !== undefined) return answer;
      this.#silentUntil = performance.now() + SILENT_MS;
      return await ask(memory);
    } catch {
      // A broken limiter refuses no request.
      log.warn('rate-limiter-failed');
      return undefined;
    }
  }

  /** One pair of limiters for each window and limit: two pairs would each grant the whole limit. */
  #limiterFor({ window, limit }: Counter): Promise<Limiters> {
    const name = `${window}:${limit}`;
    let limiter = this.#limiters.get(name);
    if (limiter === undefined) {
      limiter = this.#makeLimiters(window, limit);
      this.#limiters.set(name, limiter);
    }
    return limiter;
  }

  async #makeLimiters(window: RateWindow['name'], limit: number): Promise<Limiters> {
    const options = { points: limit, duration: WINDOW_MS[window] / 1000, keyPrefix: rateLimitPrefix };
    const memory = new RateLimiterMemory(options);
    const client = await this.#cache.client();
    return {
      memory,
      redis:
        client === undefined
          ? undefined
          : new RateLimiterRedis({ ...options, storeClient: client, rejectIfRedisNotReady: true }),
    };
  }
}

type AnyLimiter = RateLimiterMemory | RateLimiterRedis;

/** The loans that a request was taken from. */
type Taken = ReadonlyMap<Counter, Loan>;

interface Borrowed {
  /** The number of requests in the loan. */
  readonly granted: number;
  readonly result: RateLimiterRes;
}

function loanSize(limit: number, rest: number): number {
  return Math.max(1, Math.floor(Math.min(limit * LOAN_SHARE_OF_LIMIT, rest * LOAN_SHARE_OF_REST)));
}

/** Where requests are counted: in Redis, or in memory without Redis. */
interface Limiters {
  readonly memory: RateLimiterMemory;
  readonly redis: RateLimiterRedis | undefined;
}

/** Stands for all keys of a tenant. No key has this id. */
const ALL_KEYS = '*';

/** In the order in which they are asked. */
function countersOf(tenantId: string, keyId: string, limits: RateLimits): Counter[] {
  const key = `${tenantId}:${keyId}`;
  const counters: Counter[] = [{ window: 'hour', limit: limits.hour, of: key }];
  if (limits.tenantHour !== null)
    counters.push({ window: 'hour', limit: limits.tenantHour, of: `${tenantId}:${ALL_KEYS}` });
  counters.push({ window: 'day', limit: limits.day, of: key });
  return counters;
}

function nameOf({ window, limit, of }: Counter): string {
  return `${window}:${limit}:${of}`;
}

function keyOf({ window, of }: Counter): string {
  return `${of}:${window}`;
}

function isCurrent(loan: Loan | undefined, now: number): loan is Loan {
  return loan !== undefined && loan.resetAt > now;
}

function hasRequest(loan: Loan | undefined, now: number): loan is Loan {
  return isCurrent(loan, now) && loan.left >= 1;
}

/** Whether a request was left, here or in Redis. */
function hasAny(loan: Loan | undefined, now: number): boolean {
  return isCurrent(loan, now) && loan.left + loan.remaining >= 1;
}

function windowOf(counter: Counter, loan: Loan | undefined, allowed: boolean, now: number): RateWindow {
  return {
    name: counter.window,
    limit: counter.limit,
    remaining: loan === undefined ? 0 : Math.max(0, Math.floor(loan.remaining + loan.left)),
    resetSeconds: loan === undefined ? 1 : Math.max(1, Math.ceil((loan.resetAt - now) / 1000)),
    allowed,
  };
}

/** A client sees one hour: its key's or its tenant's, the one with less left. */
function shownWindows(windows: readonly RateWindow[]): RateWindow[] {
  const [hour, tenantHour] = windows.filter(({ name }) => name === 'hour');
  const day = windows.filter(({ name }) => name === 'day');
  if (hour === undefined || tenantHour === undefined) return [...windows];
  const isTenants =
    hour.allowed === tenantHour.allowed ? tenantHour.remaining < hour.remaining : !tenantHour.allowed;
  return [isTenants ? tenantHour : hour, ...day];
}
