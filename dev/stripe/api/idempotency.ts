import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import type { NoteKind, Store } from '../store/store.ts';
import { StripeError, invalidRequest } from './stripe-error.ts';

// As Stripe: keys may be forgotten once they are a day old.
const KEPT_MS = 24 * 60 * 60_000;
const MAX_KEY_LENGTH = 255;

const answerSchema = z.object({
  method: z.string(),
  path: z.string(),
  params_hash: z.string(),
  at_ms: z.number(),
  request_id: z.string(),
  status: z.number(),
  body: z.string(),
});

type KeptAnswer = z.infer<typeof answerSchema>;

const KEPT_ANSWER: NoteKind<KeptAnswer> = { name: 'idempotent_answer', schema: answerSchema };

export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
}

/** A request that carries a key. */
export interface KeyedRequest {
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly params: unknown;
}

function hashParams(params: unknown): string {
  return createHash('sha256')
    .update(canonicalize(params) ?? '')
    .digest('hex');
}

function refuseReuse(message: string): StripeError {
  return new StripeError(400, { type: 'idempotency_error', message });
}

/** The answers that `Idempotency-Key` promises to give again, and the keys whose first request still runs. */
export class IdempotencyKeys {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #running = new Set<string>();

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
    store.transact(() => {
      for (const [key, kept] of store.listNotes(KEPT_ANSWER))
        if (this.#isOutdated(kept)) store.putNote(KEPT_ANSWER, key, null);
    });
  }

  /** The answer that an equal request got. Throws for a request that the key is not for, and for one while the first runs. */
  find({ key, method, path, params }: KeyedRequest): (Answer & { readonly requestId: string }) | undefined {
    if (key === '' || key.length > MAX_KEY_LENGTH)
      throw invalidRequest(`Idempotency keys have 1 to ${MAX_KEY_LENGTH} characters.`);
    if (this.#running.has(key))
      throw new StripeError(409, {
        type: 'idempotency_error',
        code: 'idempotency_key_in_use',
        message: `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
      });
    const kept = this.#store.getNote(KEPT_ANSWER, key);
    if (kept === undefined || this.#isOutdated(kept)) return undefined;
    if (kept.path !== path || kept.method !== method)
      throw refuseReuse(
        `Keys for idempotent requests can only be used for the same endpoint they were first used for ('${path}' vs '${kept.path}'). Try using a key other than '${key}' if you meant to execute a different request.`,
      );
    if (kept.params_hash !== hashParams(params))
      throw refuseReuse(
        `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      );
    return { status: kept.status, body: kept.body, requestId: kept.request_id };
  }

  /** Holds a key for as long as its request runs. */
  async hold<T>(key: string, run: () => Promise<T>): Promise<T> {
    this.#running.add(key);
    try {
      return await run();
    } finally {
      this.#running.delete(key);
    }
  }

  /** Keeps an answer. Belongs in the request's own transaction: either both are on disk or none. */
  keep({ key, method, path, params }: KeyedRequest, requestId: string, { status, body }: Answer): void {
    this.#store.putNote(KEPT_ANSWER, key, {
      method,
      path,
      params_hash: hashParams(params),
      at_ms: this.#now(),
      request_id: requestId,
      status,
      body,
    });
  }

  #isOutdated({ at_ms }: KeptAnswer): boolean {
    return at_ms + KEPT_MS <= this.#now();
  }
}
