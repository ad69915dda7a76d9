import { performance } from 'node:perf_hooks';

interface Kept<V> {
  readonly value: V;
  readonly until: number;
}

/**
 * What this process remembers of others' data for a while, by key. Those who ask for the same thing while it is looked up
 * share one look-up: when it is forgotten, a busy tenant's requests do not all ask at once. Time is measured on the clock
 * that nobody sets: with the machine's clock set back by a day, what is remembered would last for one more.
 */
export class SingleFlightCache<V> {
  readonly #ttlMs: number;
  readonly #max: number;
  readonly #kept = new Map<string, Kept<V>>();
  readonly #loading = new Map<string, Promise<V>>();

  /** `ttlMs` counts from the start of a look-up. `max`: keys at once; past it everything is forgotten. */
  constructor({ ttlMs, max }: { readonly ttlMs: number; readonly max: number }) {
    this.#ttlMs = ttlMs;
    this.#max = max;
  }

  /** What is remembered, or what `load` answers; that is then remembered, a failure is not. */
  find(key: string, load: () => Promise<V>): V | Promise<V> {
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > performance.now()) return kept.value;
    return this.#loading.get(key) ?? this.#load(key, load);
  }

  /** Forgets; what is being looked up is answered to those who asked, and not remembered. */
  forget(key: string): void {
    this.#kept.delete(key);
    this.#loading.delete(key);
  }

  async #load(key: string, load: () => Promise<V>): Promise<V> {
    // From before the look-up: what it answers may have changed while it was on its way.
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
