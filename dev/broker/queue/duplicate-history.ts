/** What was accepted when, and under which sequence number. */
export interface Sighting {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly sequence: number;
}

/** The message ids that a queue accepted within its duplicate detection window, kept after the messages are gone. */
export class DuplicateHistory {
  readonly #windowMs: number;
  /** In order of time, so that what has left the window is at the front. */
  readonly #sightings = new Map<string, Sighting>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** The sequence number under which the id was accepted within the window. */
  find(messageId: string, now: number): number | undefined {
    const sighting = this.#sightings.get(messageId);
    return sighting !== undefined && sighting.at > now - this.#windowMs ? sighting.sequence : undefined;
  }

  add(messageId: string, sighting: Sighting, now: number): void {
    for (const [id, old] of this.#sightings) {
      if (old.at > now - this.#windowMs) break;
      this.#sightings.delete(id);
    }
    this.#sightings.delete(messageId);
    this.#sightings.set(messageId, sighting);
  }

  /** Every sighting still held; some may have left the window since the last `add`. */
  all(): IterableIterator<[string, Sighting]> {
    return this.#sightings.entries();
  }
}
