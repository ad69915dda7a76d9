/** Several tests that run side by side, and wait for each other where all of them need the same work. */
export class Lanes {
  #active: number;
  #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  readonly #together: () => Promise<unknown>;

  constructor(count: number, together: () => Promise<unknown>) {
    this.#active = count;
    this.#together = together;
  }

  /** Resolves when all lanes that have not ended have come here, and the common work is done once. */
  meet(): Promise<void> {
    const met = new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#begin();
    return met;
  }

  /** This lane does not come any more. */
  leave(): void {
    this.#active -= 1;
    this.#begin();
  }

  #begin(): void {
    if (this.#waiting.length === 0 || this.#waiting.length < this.#active) return;
    const waiting = this.#waiting.splice(0);
    this.#together().then(
      () => waiting.forEach(({ resolve }) => resolve()),
      (error: unknown) => waiting.forEach(({ reject }) => reject(error)),
    );
  }
}
