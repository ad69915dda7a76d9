/** When a message was accepted, and its sequence number. */
export interface Acceptance {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly sequence: number;
}

/** The message ids that a queue accepted within its duplicate detection window. It keeps them after the messages are gone. */
export class DuplicateHistory {
  readonly #windowMs: number;
  /** In order of time: ids outside the window are at the front. */
  readonly #acceptances = new Map<string, Acceptance>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** The sequence number of the message with this id, if it was accepted within the window. */
  find(messageId: string, now: number): number | undefined {
    const acceptance = this.#acceptances.get(messageId);
    return acceptance !== undefined && acceptance.at > now - this.#windowMs ? acceptance.sequence : undefined;
  }

  add(messageId: string, acceptance: Acceptance, now: number): void {
    for (const [id, old] of this.#acceptances) {
      if (old.at > now - this.#windowMs) break;
      this.#acceptances.delete(id);
    }
    this.#acceptances.delete(messageId);
    this.#acceptances.set(messageId, acceptance);
  }

  /** All ids still kept. Some may have left the window since the last `add`. */
  all(): IterableIterator<[string, Acceptance]> {
    return this.#acceptances.entries();
  }
}
