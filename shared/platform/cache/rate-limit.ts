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

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  /**
   * Takes one request from the allowance of `tenantId`'s key: from all of its windows or, when one of them has nothing
   * left, from none.
   */
  async take(tenantId: string, keyId: string, limits: RateLimits): Promise<RateVerdict> {
    const now = Date.now();
    const counters = countersOf(tenantId, keyId, limits);
    // Nearly always there is a loan to take from, and nothing to wait for.
    let empty = this.#withoutRequest(counters, now);
    while (empty.length > 0) {
      const granted = await Promise.all(empty.map((counter) => this.#borrow(counter, now)));
      const refused = empty.filter((_, n) => granted[n] === false);
      // What was borrowed may have been taken by a request that came while the other windows were asked: borrowed again.
      empty = this.#withoutRequest(counters, now);
      if (empty.some((counter) => refused.includes(counter))) break;
    }
    // From here on nothing waits, so that no other request takes what this one has seen.
    const loans = counters.map((counter) => this.#loans.get(nameOf(counter)));
    const allowed = loans.every((loan) => hasRequest(loan, now));
    const windows = counters.map((counter, n) => {
      const loan = loans[n];
      const isAllowed = hasRequest(loan, now);
      if (allowed && loan !== undefined) loan.left -= 1;
      return windowOf(counter, loan, isAllowed, now);
    });
    return { allowed, windows: shownWindows(windows) };
  }

  #withoutRequest(counters: readonly Counter[], now: number): readonly Counter[] {
    return counters.filter((counter) => !hasRequest(this.#loans.get(nameOf(counter)), now));
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
    // Others may have borrowed meanwhile: what is left of their loan is not thrown away.
    const current = this.#loans.get(nameOf(counter));
    const kept = current !== undefined && current.resetAt > now ? current.left : 0;
    if (this.#loans.size >= LOANS_MAX) this.#loans.clear();
    this.#loans.set(nameOf(counter), {
      left: kept + granted,
      remaining: result.remainingPoints,
      resetAt: now + result.msBeforeNext,
    });
    return granted > 0;
  }

  async #ask(counter: Counter, size: number): Promise<Borrowed> {
    const key = `${counter.of}:${counter.window}`;
    const ask = async (limiter: RateLimiterMemory | RateLimiterRedis): Promise<Borrowed> => {
      try {
        return { granted: size, result: await limiter.consume(key, size) };
      } catch (refused) {
        if (!(refused instanceof RateLimiterRes)) throw refused;
        // It was counted all the same: what was left before it now belongs to nobody else.
        return { granted: Math.max(0, counter.limit - (refused.consumedPoints - size)), result: refused };
      }
    };
    try {
      const { memory, redis } = await this.#limiterFor(counter);
      // Behind the cache's breaker: with Redis gone nobody waits for it here either.
      const answer = redis === undefined ? undefined : await this.#cache.attempt(() => ask(redis));
      return answer ?? (await ask(memory));
    } catch {
      // Neither Redis nor memory could say: a limiter that is broken limits nobody.
      log.warn('rate-limiter-failed');
      const result = new RateLimiterRes(counter.limit, WINDOW_MS[counter.window], 0, false);
      return { granted: 1, result };
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

function countersOf(tenantId: string, keyId: string, limits: RateLimits): Counter[] {
  const key = `${tenantId}:${keyId}`;
  const counters: Counter[] = [
    { window: 'hour', limit: limits.hour, of: key },
    { window: 'day', limit: limits.day, of: key },
  ];
  if (limits.tenantHour !== null)
    counters.push({ window: 'hour', limit: limits.tenantHour, of: `${tenantId}:${ALL_KEYS}` });
  return counters;
}

function nameOf({ window, limit, of }: Counter): string {
  return `${window}:${limit}:${of}`;
}

function hasRequest(loan: Loan | undefined, now: number): loan is Loan {
  return loan !== undefined && loan.left >= 1 && loan.resetAt > now;
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
function shownWindows([hour, day, tenantHour]: readonly RateWindow[]): RateWindow[] {
  if (hour === undefined || day === undefined) return [];
  if (tenantHour === undefined) return [hour, day];
  const isTenants =
    hour.allowed === tenantHour.allowed ? tenantHour.remaining < hour.remaining : !tenantHour.allowed;
  return [isTenants ? tenantHour : hour, day];
}
