import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { Problem } from '../call/problem.ts';
import { log } from '../log/log.ts';
import { count } from '../telemetry/metrics.ts';
import type { Cache } from '../cache/cache.ts';
import { rateLimitPrefix } from '../cache/keys.ts';

/** How many requests one client may send to a route that needs no credential, in a time. */
export interface AddressLimit {
  /** The name of what is counted. */
  readonly of: string;
  readonly points: number;
  readonly seconds: number;
}

interface Limiters {
  readonly memory: RateLimiterMemory;
  readonly redis: RateLimiterRedis | undefined;
}

/**
 * Limits requests by who sends them where no credential says it (`rate:limit:{of}:{who}`). Counts in Redis. Without Redis each
 * instance counts, so a limit becomes looser.
 */
export class AddressLimiter {
  readonly #cache: Cache;
  readonly #limiters = new Map<string, Promise<Limiters>>();

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  /**
   * Takes one request of a client's allowance. `address`: its IP address. Null, which is the machine's own and never a client
   * behind Azure's front end, is not limited.
   * @throws Problem 429 with `Retry-After` when nothing is left.
   */
  async require(limit: AddressLimit, address: string | null): Promise<void> {
    if (address === null) return;
    const waitMs = await this.take(limit, networkOf(address));
    if (waitMs === 0) return;
    count('rate_limit_refusals_total', {});
    throw new Problem('RATE_LIMITED', {
      detail: 'Too many attempts from this address.',
      headers: { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) },
    });
  }

  /** Takes one request of somebody's allowance. Returns 0, or how long to wait in ms. */
  async take(limit: AddressLimit, who: string): Promise<number> {
    const { memory, redis } = await this.#limitersFor(limit);
    if (redis !== undefined) {
      // Behind the cache's breaker, so that no request waits here for an unavailable Redis.
      const wait = await this.#cache.attempt(() => consume(redis, who));
      if (wait !== undefined) return wait;
    }
    return consume(memory, who).catch(() => {
      // A broken limiter refuses no request.
      log.warn('rate-limiter-failed');
      return 0;
    });
  }

  #limitersFor(limit: AddressLimit): Promise<Limiters> {
    let limiters = this.#limiters.get(limit.of);
    if (limiters === undefined) {
      limiters = this.#makeLimiters(limit);
      this.#limiters.set(limit.of, limiters);
    }
    return limiters;
  }

  async #makeLimiters({ of, points, seconds }: AddressLimit): Promise<Limiters> {
    const options = { points, duration: seconds, keyPrefix: `${rateLimitPrefix}:${of}` };
    const client = await this.#cache.client();
    return {
      memory: new RateLimiterMemory(options),
      redis:
        client === undefined
          ? undefined
          : new RateLimiterRedis({ ...options, storeClient: client, rejectIfRedisNotReady: true }),
    };
  }
}

async function consume(limiter: RateLimiterMemory | RateLimiterRedis, who: string): Promise<number> {
  try {
    await limiter.consume(who);
    return 0;
  } catch (refused) {
    if (refused instanceof RateLimiterRes) return Math.max(1, refused.msBeforeNext);
    throw refused;
  }
}

/** What one client can choose its addresses from: one address of IPv4, a /64 network of IPv6. */
export function networkOf(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
