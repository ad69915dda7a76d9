import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { HOUR_MS, DAY_MS } from '../time/clock.ts';
import { log } from '../log/log.ts';
import type { Cache } from './cache.ts';
import { rateLimitPrefix } from './keys.ts';

/** One window of a key's allowance. */
export interface RateWindow {
  readonly name: 'hour' | 'day';
  readonly limit: number;
  readonly remaining: number;
  readonly resetSeconds: number;
}

/** Whether a request may go on, and what to tell the client of its allowance. */
export interface RateVerdict {
  readonly allowed: boolean;
  readonly windows: readonly RateWindow[];
}

const WINDOWS = [
  { name: 'hour', seconds: HOUR_MS / 1000 },
  { name: 'day', seconds: DAY_MS / 1000 },
] as const;

/**
 * An instance takes requests from Redis in small loans, so that a busy key does not pay a round trip a request. A loan
 * is at most this share of the limit, and good until its window ends: a key that comes seldom gets all that it may. What
 * an instance has left when it stops is lost to the key, never granted twice.
 */
const LOAN_SHARE = 1 / 1000;
const LOANS_MAX = 20_000;

interface Loan {
  left: number;
  remaining: number;
  resetAt: number;
}

/**
 * Limits requests by key over an hour and a day (`rate:limit:{tenant}:{endpoint}`). Counts in Redis; without Redis each
 * instance counts for itself, so that a limit is loosened, never a request refused wrongly.
 */
export class RateLimiter {
  readonly #cache: Cache;
  readonly #limiters = new Map<string, Promise<Limiters>>();
  readonly #loans = new Map<string, Loan>();

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  /** Takes one request from the allowance of `tenantId`'s key. */
  async take(
    tenantId: string,
    keyId: string,
    limits: Readonly<Record<'hour' | 'day', number>>,
  ): Promise<RateVerdict> {
    const now = Date.now();
    const taken = WINDOWS.map((window) => {
      const loan = this.#loans.get(loanName(window, limits[window.name], tenantId, keyId));
      // Nearly always there is a loan to take from, and nothing to wait for.
      return loan === undefined || loan.left < 1 || loan.resetAt <= now
        ? this.#borrowAndTake(window, limits[window.name], tenantId, keyId, now)
        : take(window, limits[window.name], loan, now);
    });
    const windows: readonly Taken[] = isAllTaken(taken) ? taken : await Promise.all(taken.map(settled));
    return { allowed: windows.every((window) => window.taken), windows };
  }

  async #borrowAndTake(
    window: (typeof WINDOWS)[number],
    limit: number,
    tenantId: string,
    keyId: string,
    now: number,
  ): Promise<Taken> {
    const name = loanName(window, limit, tenantId, keyId);
    const size = Math.max(1, Math.floor(limit * LOAN_SHARE));
    const answer = await this.#borrow(window, limit, `${tenantId}:${keyId}:${window.name}`, size);
    // Others may have borrowed meanwhile: what is left of their loan is not thrown away.
    const current = this.#loans.get(name);
    const kept = current !== undefined && current.resetAt > now ? current.left : 0;
    const loan = {
      left: kept + (answer.granted ? size : 0),
      remaining: answer.result.remainingPoints,
      resetAt: now + answer.result.msBeforeNext,
    };
    if (this.#loans.size >= LOANS_MAX) this.#loans.clear();
    this.#loans.set(name, loan);
    return take(window, limit, loan, now);
  }

  async #borrow(
    window: (typeof WINDOWS)[number],
    limit: number,
    key: string,
    size: number,
  ): Promise<Borrowed> {
    const { memory, redis } = await this.#limiterFor(window, limit);
    const ask = async (limiter: RateLimiterMemory | RateLimiterRedis): Promise<Borrowed> => {
      try {
        return { granted: true, result: await limiter.consume(key, size) };
      } catch (refused) {
        if (refused instanceof RateLimiterRes) return { granted: false, result: refused };
        throw refused;
      }
    };
    try {
      // Behind the cache's breaker: with Redis gone nobody waits for it here either.
      const answer = redis === undefined ? undefined : await this.#cache.attempt(() => ask(redis));
      return answer ?? (await ask(memory));
    } catch {
      // Neither Redis nor memory could say: a limiter that is broken limits nobody.
      log.warn('rate-limiter-failed');
      return { granted: true, result: new RateLimiterRes(limit, window.seconds * 1000, 0, false) };
    }
  }

  /** One pair of limiters a window and limit: two would each grant the whole of it. */
  #limiterFor(window: (typeof WINDOWS)[number], limit: number): Promise<Limiters> {
    const name = `${window.name}:${limit}`;
    let limiter = this.#limiters.get(name);
    if (limiter === undefined) {
      limiter = this.#makeLimiters(window, limit);
      this.#limiters.set(name, limiter);
    }
    return limiter;
  }

  async #makeLimiters(window: (typeof WINDOWS)[number], limit: number): Promise<Limiters> {
    const options = { points: limit, duration: window.seconds, keyPrefix: rateLimitPrefix };
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
  readonly granted: boolean;
  readonly result: RateLimiterRes;
}

/** Where requests are counted, and where instead while Redis is gone. */
interface Limiters {
  readonly memory: RateLimiterMemory;
  readonly redis: RateLimiterRedis | undefined;
}

/** A window, and whether a request was taken from it. */
interface Taken extends RateWindow {
  readonly taken: boolean;
}

const settled = (one: Taken | Promise<Taken>): Promise<Taken> => Promise.resolve(one);

function isAllTaken(windows: readonly (Taken | Promise<Taken>)[]): windows is readonly Taken[] {
  return !windows.some((one) => one instanceof Promise);
}

function loanName(window: (typeof WINDOWS)[number], limit: number, tenantId: string, keyId: string): string {
  return `${window.name}:${limit}:${tenantId}:${keyId}`;
}

function take(window: (typeof WINDOWS)[number], limit: number, loan: Loan, now: number): Taken {
  const taken = loan.left >= 1;
  if (taken) loan.left -= 1;
  return {
    name: window.name,
    limit,
    remaining: Math.max(0, Math.floor(loan.remaining + loan.left)),
    resetSeconds: Math.max(1, Math.ceil((loan.resetAt - now) / 1000)),
    taken,
  };
}
