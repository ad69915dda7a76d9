import { performance } from 'node:perf_hooks';
import { z } from 'zod';
import type { CallServices } from '../../../platform/call/call.ts';
import { userSessionKey } from '../../../platform/cache/keys.ts';
import { newId } from '../../../platform/ids/ids.ts';

const change = z.string();

/** Longer than any process remembers a session. */
const KEPT_S = 60;
/** How often a process asks Redis about a person whose session it remembers. */
const ASK_EVERY_MS = 1_000;
const MEMORY_MAX = 10_000;

/** What is known of a person's changes. */
interface Known {
  readonly change: string | undefined;
  readonly askedAt: number;
}

/**
 * Tells when a person's sessions or rights have changed: in this process at once, and in others by the key
 * `session:user:{user_id}` in Redis. Without Redis they learn it when they look the session up again, a few seconds later.
 */
export class PersonChanges {
  readonly #cache: Pick<CallServices['cache'], 'configured' | 'read' | 'write'>;
  readonly #known = new Map<string, Known>();

  constructor(cache: Pick<CallServices['cache'], 'configured' | 'read' | 'write'>) {
    this.#cache = cache;
  }

  /** Notes a change. */
  note(userId: string): void {
    const id = newId();
    this.#keep(userId, id);
    // Not awaited, and never throws: without Redis, time ends what others remember.
    void this.#cache.write(userSessionKey(userId), id, KEPT_S);
  }

  /** The person's last change, as far as this process knows. It asks Redis at most once a second. */
  last(userId: string): string | undefined | Promise<string | undefined> {
    const known = this.#known.get(userId);
    if (known !== undefined && performance.now() - known.askedAt < ASK_EVERY_MS) return known.change;
    if (!this.#cache.configured) return known?.change;
    return this.#ask(userId);
  }

  async #ask(userId: string): Promise<string | undefined> {
    const before = this.#known.get(userId)?.change;
    const told = (await this.#cache.read(userSessionKey(userId), change)) ?? before;
    // A change that this process noted meanwhile is newer than what Redis said.
    if (this.#known.get(userId)?.change === before) this.#keep(userId, told);
    return this.#known.get(userId)?.change;
  }

  #keep(userId: string, id: string | undefined): void {
    if (this.#known.size >= MEMORY_MAX) this.#known.clear();
    this.#known.set(userId, { change: id, askedAt: performance.now() });
  }
}
