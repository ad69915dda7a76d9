import { createdOf, idOf } from '../objects/kinds.ts';
import type { StripeObject } from '../objects/kinds.ts';

interface Entry {
  object: StripeObject;
}

/** The objects of one kind, by id and in the order in which they were made. Each change returns its undoing. */
export class Shelf {
  readonly #byId = new Map<string, Entry>();
  /** The oldest first; those of the same second in the order of their first put. */
  readonly #inOrder: Entry[] = [];

  get(id: string): StripeObject | undefined {
    return this.#byId.get(id)?.object;
  }

  oldestFirst(): StripeObject[] {
    return this.#inOrder.map(({ object }) => object);
  }

  put(object: StripeObject): () => void {
    const known = this.#byId.get(idOf(object));
    if (known !== undefined) {
      const before = known.object;
      known.object = object;
      return () => {
        known.object = before;
      };
    }
    const entry = { object };
    const older = this.#inOrder.findLastIndex((other) => createdOf(other.object) <= createdOf(object));
    this.#insert(older + 1, entry);
    return () => {
      this.remove(idOf(object));
    };
  }

  remove(id: string): () => void {
    const entry = this.#byId.get(id);
    if (entry === undefined) return () => undefined;
    const index = this.#inOrder.indexOf(entry);
    this.#byId.delete(id);
    this.#inOrder.splice(index, 1);
    return () => {
      this.#insert(index, entry);
    };
  }

  #insert(index: number, entry: Entry): void {
    this.#byId.set(idOf(entry.object), entry);
    this.#inOrder.splice(index, 0, entry);
  }
}
