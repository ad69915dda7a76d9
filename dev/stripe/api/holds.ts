/** `before`: nothing has happened yet. `after`: it is done and on disk, and the client has not heard of it. */
export type HoldPoint = 'before' | 'after';

/** How a held request goes on: as if nothing had been, or its connection ends without an answer. */
export type Release = 'go' | 'cut';

interface Moment<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}

interface Hold {
  readonly path: string;
  readonly point: HoldPoint;
  readonly reached: Moment<undefined>;
  readonly released: Moment<Release>;
}

function makeMoment<T>(): Moment<T> {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Stops requests at a point, so that a test can look at what else happens meanwhile. */
export class Holds {
  readonly #holds = new Map<string, Hold>();
  readonly #taken = new WeakSet<Hold>();
  #count = 0;

  /** Holds the next request for this path (`/v1/customers`) at this point. */
  add(path: string, point: HoldPoint): string {
    this.#count += 1;
    const id = `hold_${this.#count}`;
    this.#holds.set(id, { path, point, reached: makeMoment(), released: makeMoment() });
    return id;
  }

  /** Settles once a request is held; undefined for no such hold. */
  whenReached(id: string): Promise<undefined> | undefined {
    return this.#holds.get(id)?.reached.promise;
  }

  /** Lets the held request go on, or the hold be gone if there is none yet. */
  release(id: string, how: Release): boolean {
    const hold = this.#holds.get(id);
    hold?.released.resolve(how);
    return this.#holds.delete(id);
  }

  releaseAll(how: Release): void {
    for (const id of [...this.#holds.keys()]) this.release(id, how);
  }

  /** Waits where a hold stops this request. */
  async pass(path: string, point: HoldPoint): Promise<Release> {
    for (const hold of this.#holds.values()) {
      if (hold.path !== path || hold.point !== point || this.#taken.has(hold)) continue;
      this.#taken.add(hold);
      hold.reached.resolve(undefined);
      return await hold.released.promise;
    }
    return 'go';
  }
}
