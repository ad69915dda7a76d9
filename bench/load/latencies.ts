/** Width of a bucket; an answer takes a few of them at the least. */
const BUCKET_MS = 0.05;
/** Up to ten seconds, the longest that an answer may take. */
const BUCKETS = 200_000;

/** Times of answers, counted in buckets: to keep each one would cost the client's processor and memory. */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  /** Counts one. */
  add(ms: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.floor(ms / BUCKET_MS));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total += 1;
  }

  /** The time that a share (0 to 1) of all answers took at most, to a bucket's width. 0 of none. */
  quantile(share: number): number {
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      if (seen > 0 && seen >= share * this.#total) return (bucket + 1) * BUCKET_MS;
    }
    return 0;
  }
}
