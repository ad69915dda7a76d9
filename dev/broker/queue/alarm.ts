// setTimeout fires at once for anything longer than this (2^31 - 1 ms, 24.8 days): wake up in between instead.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** One timer for many deadlines: it rings at the earliest, and asks when to ring next. */
export class Alarm {
  readonly #now: () => number;
  readonly #ring: () => number;
  #timer: NodeJS.Timeout | null = null;
  #at = Infinity;
  #stopped = false;

  /** `ring` does what is due and returns the next deadline in epoch milliseconds, `Infinity` for none. */
  constructor(now: () => number, ring: () => number) {
    this.#now = now;
    this.#ring = ring;
  }

  /** Makes sure that the alarm rings no later than `atMs`. Cheap when an earlier deadline is already set. */
  wakeAt(atMs: number): void {
    if (atMs >= this.#at || this.#stopped) return;
    this.#at = atMs;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const delayMs = Math.min(Math.max(atMs - this.#now(), 0), LONGEST_TIMEOUT_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#at = Infinity;
      this.wakeAt(this.#ring());
    }, delayMs);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
