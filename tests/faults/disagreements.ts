/** Collects the differences between the ledger and the databases, so that a failure shows all of them. */
export class Disagreements {
  readonly #found: string[] = [];

  /** Adds a difference unless the condition is true. */
  check(holds: boolean, what: () => string): void {
    if (!holds) this.#found.push(what());
  }

  /** Adds a difference if two figures differ. */
  equal(what: string, actual: unknown, expected: unknown): void {
    this.check(
      JSON.stringify(actual) === JSON.stringify(expected),
      () => `${what}: ${JSON.stringify(actual)}, and should be ${JSON.stringify(expected)}`,
    );
  }

  /** Throws an error with up to forty differences and their number. */
  throwIfAny(context: string): void {
    if (this.#found.length === 0) return;
    const shown = this.#found.slice(0, 40).map((line) => `  ${line}`);
    throw new Error(`${this.#found.length} disagreements (${context}):\n${shown.join('\n')}`);
  }
}
