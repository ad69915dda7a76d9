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
 * is at most this share of the limit: what an instance leaves unused is lost to the key, never granted twice.
 */
const LOAN_SHARE = 1 / 1000;
/** A loan lives no longer than this, so that a quiet instance sits on nothing. */
const LOAN_TTL_MS = 1_000;
const LOANS_MAX = 20_000;

interface Loan {
  left: number;
  until: number;
  remaining: number;
  resetAt: number;
}

/**
 * Limits requests by key over an hour and a day (`rate:limit:{tenant}:{endpoint}`). Counts in Redis; without Redis each
 * instance counts for itself, so that a limit is loosened, never a request refused wrongly.
 */
export class RateLimiter {
  readonly #cache: Cache;
  readonly #limiters = new Map<string, RateLimiterMemory | RateLimiterRedis>();
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
    const windows = await Promise.all(
      WINDOWS.map((window) => this.#takeFrom(window, limits[window.name], tenantId, keyId)),
    );
    return {
      allowed: windows.every((window) => window.taken),
      windows: windows.map(({ taken: _, ...window }) => window),
    };
  }

  async #takeFrom(
    window: (typeof WINDOWS)[number],
    limit: number,
    tenantId: string,
    keyId: string,
  ): Promise<RateWindow & { taken: boolean }> {
    const name = `${window.name}:${limit}:${tenantId}:${keyId}`;
    const now = Date.now();
    let loan = this.#loans.get(name);
    let taken = true;
    if (loan === undefined || loan.left < 1 || loan.until <= now) {
      const size = Math.max(1, Math.floor(limit * LOAN_SHARE));
      const answer = await this.#borrow(window, limit, `${tenantId}:${keyId}:${window.name}`, size);
      // Others may have borrowed meanwhile: what is left of their loan is not thrown away.
      const current = this.#loans.get(name);
      const kept = current !== undefined && current.until > now ? current.left : 0;
      loan = {
        left: kept + (answer.granted ? size : 0),
        until: now + Math.min(LOAN_TTL_MS, answer.result.msBeforeNext),
        remaining: answer.result.remainingPoints,
        resetAt: now + answer.result.msBeforeNext,
      };
      taken = loan.left >= 1;
      if (this.#loans.size >= LOANS_MAX) this.#loans.clear();
      this.#loans.set(name, loan);
    }
    if (taken) loan.left -= 1;
    return {
      name: window.name,
      limit,
      remaining: Math.max(0, Math.floor(loan.remaining + loan.left)),
      resetSeconds: Math.max(1, Math.ceil((loan.resetAt - now) / 1000)),
      taken,
    };
  }

  async #borrow(
    window: (typeof WINDOWS)[number],
    limit: number,
    key: string,
    size: number,
  ): Promise<{ granted: boolean; result: RateLimiterRes }> {
    const limiter = await this.#limiterFor(window, limit);
    try {
      return { granted: true, result: await limiter.consume(key, size) };
    } catch (refused) {
      if (refused instanceof RateLimiterRes) return { granted: false, result: refused };
      // Neither Redis nor memory could say: a limiter that is broken limits nobody.
      log.warn('rate-limiter-failed');
      return { granted: true, result: new RateLimiterRes(limit, window.seconds * 1000, 0, false) };
    }
  }

  async #limiterFor(
    window: (typeof WINDOWS)[number],
    limit: number,
  ): Promise<RateLimiterMemory | RateLimiterRedis> {
    const name = `${window.name}:${limit}`;
    const known = this.#limiters.get(name);
    if (known !== undefined) return known;
    const options = { points: limit, duration: window.seconds, keyPrefix: rateLimitPrefix };
    const memory = new RateLimiterMemory(options);
    const client = await this.#cache.client();
    const limiter =
      client === undefined
        ? memory
        : new RateLimiterRedis({
            ...options,
            storeClient: client,
            insuranceLimiter: memory,
            rejectIfRedisNotReady: true,
          });
    this.#limiters.set(name, limiter);
    return limiter;
  }
}
