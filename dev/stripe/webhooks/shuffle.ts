interface Held {
  readonly rank: number;
  readonly release: () => void;
}

/** Gathers what is to arrive in another order, and lets it go by rank once it is full or nothing more has come for a while. */
export class Shuffle {
  #held: Held[] = [];
  #timer: NodeJS.Timeout | undefined;

  add(held: Held, { window, flushMs }: { window: number; flushMs: number }): void {
    this.#held.push(held);
    clearTimeout(this.#timer);
    if (this.#held.length >= window) this.flush();
    else this.#timer = setTimeout(() => this.flush(), flushMs);
  }

  flush(): void {
    clearTimeout(this.#timer);
    for (const { release } of this.#held.splice(0).sort((a, b) => a.rank - b.rank)) release();
  }

  /** Forgets what it holds. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#held = [];
  }
}
