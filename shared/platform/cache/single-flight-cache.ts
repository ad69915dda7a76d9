import { performance } from 'node:perf_hooks';
import { counterOf } from '../telemetry/metrics.ts';

interface CacheOptions {
  readonly ttlMs: number;
  readonly max: number;
  readonly name?: string;
}

interface Kept<V> {
  readonly value: V;
  readonly until: number;
}

/**
 * A cache in this process's memory. Concurrent callers of one key share one look-up, so that a busy tenant's requests do not
 * all look up an expired key at once. Time is measured on the monotonic clock: if the machine's clock is set back by a day,
 * a value must not live a day longer.
 */
export class SingleFlightCache<V> {
  readonly #ttlMs: number;
  readonly #max: number;
  readonly #hit: (() => void) | undefined;
  readonly #miss: (() => void) | undefined;
  readonly #kept = new Map<string, Kept<V>>();
  readonly #loading = new Map<string, Promise<V>>();

  /**
   * `ttlMs` counts from the start of a look-up. `max`: the most keys. One more, and the cache is emptied. `name`: under which its
   * hits are counted.
   */
  constructor({ ttlMs, max, name }: CacheOptions) {
    this.#ttlMs = ttlMs;
    this.#max = max;
    if (name === undefined) return;
    this.#hit = counterOf('cache_lookups_total', { cache: name, outcome: 'hit' });
    this.#miss = counterOf('cache_lookups_total', { cache: name, outcome: 'miss' });
  }

  /** Returns the cached value, or the result of `load`. That is then cached, but a failure is not. */
  find(key: string, load: () => Promise<V>): V | Promise<V> {
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > performance.now()) {
      this.#hit?.();
      return kept.value;
    }
    this.#miss?.();
    return this.#loading.get(key) ?? this.#load(key, load);
  }

  /** Removes a key. A look-up in progress still answers its callers, but is not cached. */
  forget(key: string): void {
    this.#kept.delete(key);
    this.#loading.delete(key);
  }

  async #load(key: string, load: () => Promise<V>): Promise<V> {
    // From before the look-up: the value may change while the answer is on its way.
    const until = performance.now() + this.#ttlMs;
    const loading = load();
    this.#loading.set(key, loading);
    try {
      const value = await loading;
      if (this.#loading.get(key) === loading) this.#keep(key, { value, until });
      return value;
    } finally {
      if (this.#loading.get(key) === loading) this.#loading.delete(key);
    }
  }

  #keep(key: string, kept: Kept<V>): void {
    if (this.#kept.size >= this.#max) this.#kept.clear();
    this.#kept.set(key, kept);
  }
}
