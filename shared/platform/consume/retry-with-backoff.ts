import { setTimeout as delay } from 'node:timers/promises';
import { faultOf } from '../db/errors.ts';

/** How long a batch is held for a dependency that is away, and how often it is tried, in ms. */
export interface Patience {
  readonly holdMs: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

/** Well under the queues' locks of five minutes: what is held is still written, and settled, within them. */
const PATIENCE: Patience = { holdMs: 120_000, firstMs: 250, longestMs: 5_000 };

/** Too many requests; the others of 400 to 499 would be answered the same again. */
const TOO_MANY_REQUESTS = 429;

/** Whether a failure passes by itself: the database or the storage is away, or too busy. */
function isPassing(error: unknown): boolean {
  const fault = faultOf(error);
  if (fault === 'unavailable' || fault === 'contention') return true;
  const status: unknown =
    typeof error === 'object' && error !== null ? Reflect.get(error, 'statusCode') : undefined;
  return typeof status === 'number' && (status === TOO_MANY_REQUESTS || status >= 500);
}

/**
 * Does the work of a batch again until what it needs is back. A throw would hand the batch back at once, and Azure's host
 * would take it again without a pause: ten deliveries, and with them the way to the dead letters, last for a second. Held
 * like this, they outlast an outage of twenty minutes.
 * @throws what the work throws, once it has been held for long enough; at once what does not pass.
 */
export async function retryWithBackoff<T>(work: () => Promise<T>, patience: Patience = PATIENCE): Promise<T> {
  const giveUpAt = performance.now() + patience.holdMs;
  for (let wait = patience.firstMs; ; wait = Math.min(2 * wait, patience.longestMs)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || performance.now() + wait > giveUpAt) throw error;
    }
    await delay(wait);
  }
}
