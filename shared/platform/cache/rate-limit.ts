import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { HOUR_MS, DAY_MS } from '../time/clock.ts';
import { log } from '../log/log.ts';
import type { Cache } from './cache.ts';
import { rateLimitPrefix } from './keys.ts';

/** One window of an allowance, as a client is told of it. */
export interface RateWindow {
  readonly name: 'hour' | 'day';
  readonly limit: number;
  readonly remaining: number;
  readonly resetSeconds: number;
  /** False where this window had nothing left for the request. */
  readonly allowed: boolean;
}

/** Whether a request may go on, and what to tell the client of its allowance. */
export interface RateVerdict {
  readonly allowed: boolean;
  readonly windows: readonly RateWindow[];
}

/** The limits that one request counts against, in requests. */
export interface RateLimits {
  readonly hour: number;
  readonly day: number;
  /** What all keys of the tenant may have together in an hour; null: each has its own. */
  readonly tenantHour: number | null;
}

const WINDOW_MS = { hour: HOUR_MS, day: DAY_MS } as const;

/**
 * An instance takes requests from Redis in small loans, so that a key does not pay a round trip a request: this share of
 * the limit, and less the less there is left. A loan is good until its window ends: a key that comes seldom gets all that
 * it may. What an instance has left when it stops is lost to the key, never granted twice.
 */
const LOAN_SHARE_OF_LIMIT = 1 / 100;
const LOAN_SHARE_OF_REST = 1 / 20;
const LOANS_MAX = 20_000;
/** After a Redis that did not answer: no request waits for it once for each of its windows, one after the other. */
const SILENT_MS = 250;

interface Loan {
  left: number;
  remaining: number;
  resetAt: number;
}

/** One limit that a request counts against. */
interface Counter {
  readonly window: RateWindow['name'];
  readonly limit: number;
  /** Whose requests are counted: a key's, or all of a tenant's. */
  readonly of: string;
}

/**
 * Limits requests by key over an hour and a day, and by tenant over an hour (`rate:limit:{tenant}:{key}`). Counts in
 * Redis; without Redis each instance counts for itself, so that a limit is loosened, never a request refused wrongly.
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
   * Takes one request from the allowance of `tenantId`'s key: from all of its windows or, when one of them has nothing
   * left, from none. The day is asked last: a request that an hour refuses must not borrow from it, since what an instance
   * has borrowed no other one can grant. The day's loans are the larger ones, so few requests wait for several.
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

  /** A request of each, where all have one: nearly always, and without waiting. */
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
   * A request of each in turn, up to the first that has none; those that were granted. The tenant's hour comes after the
   * key's: a unit held for a request that the key's own hour refuses would be missing to the tenant's other keys.
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

  /** The loan that a request was taken from; undefined where there is none to be had. */
  async #takeOne(counter: Counter, now: number): Promise<Loan | undefined> {
    for (let granted = true; ;) {
      const loan = this.#loans.get(nameOf(counter));
      if (hasRequest(loan, now)) {
        loan.left -= 1;
        return loan;
      }
      // What was borrowed may have been taken by those who asked at the same time: borrowed again.
      if (!granted) return undefined;
      granted = await this.#borrow(counter, now);
    }
  }

  /** What a refused client is told of a window that was not asked. */
  async #lookAtUnknown(counters: readonly Counter[], now: number): Promise<void> {
    const unknown = counters.filter((counter) => !isCurrent(this.#loans.get(nameOf(counter)), now));
    await Promise.all(
      unknown.map(async (counter) => {
        const result = await this.#askEither(counter, (limiter) => limiter.get(keyOf(counter)));
        this.#keep(counter, 0, result ?? new RateLimiterRes(counter.limit, WINDOW_MS[counter.window]), now);
      }),
    );
  }

  /** Whether anything was granted. Those who need a loan of several at the same time share one: together they need no more. */
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
      // Others may have borrowed meanwhile, and may give back what they took: their loan is added to, not replaced.
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
        // It was counted all the same: what was left before it now belongs to nobody else.
        return { granted: Math.max(0, counter.limit - (refused.consumedPoints - size)), result: refused };
      }
    });
    if (borrowed !== undefined) return borrowed;
    return { granted: 1, result: new RateLimiterRes(counter.limit, WINDOW_MS[counter.window], 0, false) };
  }

  /** What Redis answers, or this instance's memory without it; undefined when neither can say. */
  async #askEither<T>(counter: Counter, ask: (limiter: AnyLimiter) => Promise<T>): Promise<T | undefined> {
    try {
      const { memory, redis } = await this.#limiterFor(counter);
      if (redis === undefined || performance.now() < this.#silentUntil) return await ask(memory);
      // Behind the cache's breaker: with Redis gone nobody waits for it here either.
      const answer = await this.#cache.attempt(() => ask(redis));
      if (answer !== undefined) return answer;
      this.#silentUntil = performance.now() + SILENT_MS;
      return await ask(memory);
    } catch {
      // A limiter that is broken limits nobody.
      log.warn('rate-limiter-failed');
      return undefined;
    }
  }

  /** One pair of limiters a window and limit: two would each grant the whole of it. */
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

/** Where a request was taken from. */
type Taken = ReadonlyMap<Counter, Loan>;

interface Borrowed {
  /** Requests that may be taken from the loan. */
  readonly granted: number;
  readonly result: RateLimiterRes;
}

function loanSize(limit: number, rest: number): number {
  return Math.max(1, Math.floor(Math.min(limit * LOAN_SHARE_OF_LIMIT, rest * LOAN_SHARE_OF_REST)));
}

/** Where requests are counted, and where instead while Redis is gone. */
interface Limiters {
  readonly memory: RateLimiterMemory;
  readonly redis: RateLimiterRedis | undefined;
}

/** What stands for a tenant's keys together; no key has such an id. */
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

/** Whether there was anything left for a request, here or where it is counted. */
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

/** A client is told of one hour: its key's or its tenant's, whichever leaves it less. */
function shownWindows(windows: readonly RateWindow[]): RateWindow[] {
  const [hour, tenantHour] = windows.filter(({ name }) => name === 'hour');
  const day = windows.filter(({ name }) => name === 'day');
  if (hour === undefined || tenantHour === undefined) return [...windows];
  const isTenants =
    hour.allowed === tenantHour.allowed ? tenantHour.remaining < hour.remaining : !tenantHour.allowed;
  return [isTenants ? tenantHour : hour, ...day];
}
