const MAX_RUNNING = 16; // of one endpoint: many at once, as at Stripe, and not a flood

interface Job {
  readonly run: () => Promise<void>;
  readonly isAlone: boolean;
}

/** Runs what one endpoint is sent: started in order, several at once, unless one wants to be alone. */
export class Lane {
  #queue: Job[] = [];
  #running = 0;
  #isTaken = false;

  /** `isAlone` starts once all before it are done, and lets the next start once it is done: what arrives is in order then. */
  add(run: () => Promise<void>, isAlone: boolean): void {
    this.#queue.push({ run, isAlone });
    this.#startNext();
  }

  /** Forgets what has not started. */
  clear(): void {
    this.#queue = [];
  }

  #startNext(): void {
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined || this.#isTaken) return;
      if (this.#running >= (next.isAlone ? 1 : MAX_RUNNING)) return;
      this.#queue.shift();
      this.#running += 1;
      this.#isTaken = next.isAlone;
      void this.#run(next);
    }
  }

  async #run({ run, isAlone }: Job): Promise<void> {
    try {
      await run();
    } finally {
      this.#running -= 1;
      if (isAlone) this.#isTaken = false;
      this.#startNext();
    }
  }
}
