// A longer timeout (24.8 days) would make setTimeout fire at once. The alarm rings early instead and is set again.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** One timer for many deadlines. It rings at the earliest one, and `ring` returns the next. */
export class Alarm {
  readonly #now: () => number;
  readonly #ring: () => number;
  #timer: NodeJS.Timeout | null = null;
  #at = Infinity;
  #stopped = false;

  /** `ring` runs what is due and returns the next deadline in epoch milliseconds, or `Infinity`. */
  constructor(now: () => number, ring: () => number) {
    this.#now = now;
    this.#ring = ring;
  }

  /** Makes the alarm ring at `atMs` or earlier. */
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
