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
  /** After this an open breaker lets one call try again. */
  readonly openMs: number;
  /** Failures that tell of the call and not of the service, which do not count. */
  readonly ignore: (error: Error) => boolean;
}

/** A call that was not made, because the service was found gone a moment ago, here or by another instance. */
export class CircuitOpen extends Error {
  override name = 'CircuitOpen';
  constructor(service: string) {
    super(`${service} was found gone a moment ago`);
  }
}

const announcement = z.object({ state: z.literal('open'), until: z.number() });

/**
 * A circuit breaker whose opening the app's other instances learn of through the cache: one of them pays the timeout of
 * a service that is gone, not each. Without a cache each learns for itself.
 */
export class SharedBreaker {
  readonly #cache: Cache;
  readonly #options: BreakerOptions;
  readonly #policy: CircuitBreakerPolicy;
  /** On the clock that no one sets. */
  #openUntil = 0;

  constructor(cache: Cache, options: BreakerOptions) {
    this.#cache = cache;
    this.#options = options;
    const { service, openMs } = options;
    this.#policy = circuitBreaker(
      handleWhen((error) => !options.ignore(error)),
      // Half open whenever it is asked: how long it is open is measured here, since the policy would ask the machine's
      // clock, and stay open for a day when that is set back by one.
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

  /** Whether this instance found the service gone; asks nobody. */
  get open(): boolean {
    return performance.now() < this.#openUntil;
  }

  /** @throws CircuitOpen instead of calling, while the breaker is open here or elsewhere; what the call throws. */
  async execute<T>(call: () => Promise<T>): Promise<T> {
    if (this.open || (this.#policy.state === CircuitState.Closed && (await this.#openElsewhere())))
      throw new CircuitOpen(this.#options.service);
    return this.#policy.execute(call);
  }

  async #openElsewhere(): Promise<boolean> {
    const said = await this.#cache.read(circuitBreakerKey(this.#options.service), announcement);
    // Bounded by our own patience: another instance's clock may be ahead.
    return said !== undefined && said.until > Date.now() && said.until <= Date.now() + this.#options.openMs;
  }
}
