/** The width of a bucket: small compared to the fastest answer. */
const BUCKET_MS = 0.05;
/** Enough for ten seconds; a longer time counts as ten seconds. */
const BUCKETS = 200_000;

/** Latencies, counted in buckets: keeping each value would cost the client processor time and memory. */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  /** Counts one latency. */
  add(ms: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.floor(ms / BUCKET_MS));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total += 1;
  }

  /** The time in which a share (0 to 1) of all answers came, as exact as a bucket's width; 0 without answers. */
  quantile(share: number): number {
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      if (seen > 0 && seen >= share * this.#total) return (bucket + 1) * BUCKET_MS;
    }
    return 0;
  }
}
