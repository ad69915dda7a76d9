import { setTimeout as delay } from 'node:timers/promises';
import { faultOf } from '../db/errors.ts';

/** How long a batch is held while a dependency is unavailable, and the pauses between the tries, in ms. */
export interface RetryLimits {
  readonly holdMs: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

/** Well under the queues' locks of five minutes, so that a held batch can still be written and settled within them. */
const RETRY_LIMITS: RetryLimits = { holdMs: 120_000, firstMs: 250, longestMs: 5_000 };

/** Too many requests. The other codes from 400 to 499 would fail again. */
const TOO_MANY_REQUESTS = 429;

/** Whether a retry may help: the database or the storage is unavailable or too busy. */
function isPassing(error: unknown): boolean {
  const fault = faultOf(error);
  if (fault === 'unavailable' || fault === 'contention') return true;
  const status: unknown =
    typeof error === 'object' && error !== null ? Reflect.get(error, 'statusCode') : undefined;
  return typeof status === 'number' && (status === TOO_MANY_REQUESTS || status >= 500);
}

/**
 * Repeats the work of a batch until its dependency is available again. A throw would return the batch at once, and Azure's
 * host would deliver it again without a pause. All ten deliveries would then be used up within a second, and the messages
 * would be dead-lettered. With a hold time for each delivery, they survive an outage of twenty minutes.
 * @throws what the work throws, after the longest hold time; at once if a retry cannot help.
 */
export async function retryWithBackoff<T>(
  work: () => Promise<T>,
  limits: RetryLimits = RETRY_LIMITS,
): Promise<T> {
  const giveUpAt = performance.now() + limits.holdMs;
  for (let wait = limits.firstMs; ; wait = Math.min(2 * wait, limits.longestMs)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || performance.now() + wait > giveUpAt) throw error;
    }
    await delay(wait);
  }
}
