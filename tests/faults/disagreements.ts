/** What the ledger and the databases disagree about, gathered, so that a failure shows all of it at once. */
export class Disagreements {
  readonly #found: string[] = [];

  /** Notes one, unless it holds. */
  check(holds: boolean, what: () => string): void {
    if (!holds) this.#found.push(what());
  }

  /** Notes that two figures differ. */
  equal(what: string, actual: unknown, expected: unknown): void {
    this.check(
      JSON.stringify(actual) === JSON.stringify(expected),
      () => `${what}: ${JSON.stringify(actual)}, and should be ${JSON.stringify(expected)}`,
    );
  }

  /** Throws what was found: at most forty, and how many there are. */
  throwIfAny(context: string): void {
    if (this.#found.length === 0) return;
    const shown = this.#found.slice(0, 40).map((line) => `  ${line}`);
    throw new Error(`${this.#found.length} disagreements (${context}):\n${shown.join('\n')}`);
  }
}
