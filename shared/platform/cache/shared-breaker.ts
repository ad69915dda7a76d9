import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleWhen,
  type CircuitBreakerPolicy,
} from 'cockatiel';
import { z } from 'zod';
import { log } from '../log/log.ts';
import type { Cache } from './cache.ts';
import { circuitBreakerKey } from './keys.ts';

/** How a breaker behaves. */
export interface BreakerOptions {
  /** The service's name in the key and in the log. */
  readonly service: string;
  /** How long the breaker stays open. Then one call may try again. */
  readonly openMs: number;
  /** Failures of the call itself and not of the service. They do not count. */
  readonly ignore: (error: Error) => boolean;
}

/** The call was not made: this or another instance found the service unavailable a moment ago. */
export class CircuitOpen extends Error {
  override name = 'CircuitOpen';
  constructor(service: string) {
    super(`${service} was found unavailable a moment ago`);
  }
}

const announcement = z.object({ state: z.literal('open'), until: z.number() });

/**
 * A circuit breaker that tells the app's other instances through the cache when it opens. So only one instance pays the
 * timeout of an unavailable service. Without a cache, each instance finds out itself.
 */
export class SharedBreaker {
  readonly #cache: Cache;
  readonly #options: BreakerOptions;
  readonly #policy: CircuitBreakerPolicy;
  /** On the monotonic clock, which nothing sets back. */
  #openUntil = 0;

  constructor(cache: Cache, options: BreakerOptions) {
    this.#cache = cache;
    this.#options = options;
    const { service, openMs } = options;
    this.#policy = circuitBreaker(
      handleWhen((error) => !options.ignore(error)),
      // The policy is always ready to half-open, because the open time is measured here. The policy would use the machine's
      // clock: when that is set back by a day, it would stay open for a day.
      { halfOpenAfter: -Infinity, breaker: new ConsecutiveBreaker(1) },
    );
    this.#policy.onBreak(() => {
      log.warn('breaker-open', { service });
      this.#openUntil = performance.now() + openMs;
      const value = { state: 'open', until: Date.now() + openMs };
      void this.#cache.write(circuitBreakerKey(service), value, Math.ceil(openMs / 1000));
    });
    this.#policy.onReset(() => {
      log.info('breaker-closed', { service });
      void this.#cache.drop(circuitBreakerKey(service));
    });
  }

  /** Whether this instance found the service unavailable. Calls nothing. */
  get open(): boolean {
    return performance.now() < this.#openUntil;
  }

  /**
   * Runs the call. @throws CircuitOpen without calling, while the breaker is open here or in another instance; what the call
   * throws.
   */
  async execute<T>(call: () => Promise<T>): Promise<T> {
    if (this.open || (this.#policy.state === CircuitState.Closed && (await this.#openElsewhere())))
      throw new CircuitOpen(this.#options.service);
    return this.#policy.execute(call);
  }

  async #openElsewhere(): Promise<boolean> {
    const said = await this.#cache.read(circuitBreakerKey(this.#options.service), announcement);
    // At most the own open time: the clock of the other instance may be ahead.
    return said !== undefined && said.until > Date.now() && said.until <= Date.now() + this.#options.openMs;
  }
}
