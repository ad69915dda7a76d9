import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../platform/time/clock.ts';

/** How long a delivery is tried, from its first attempt on. */
export const GIVE_UP_MS = DAY_MS;

/** The wait after the first failure. It triples each time. */
const FIRST_MS = 10_000;
const LONGEST_MS = 4 * HOUR_MS;

/**
 * How long a delivery waits after so many attempts: 10 s, 30 s, 90 s and so on, at most four hours, so about a dozen attempts in a
 * day. The half of it is random, so that what failed together does not come again together.
 */
export function backoffMs(attempts: number, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 3 ** Math.min(attempts - 1, 20));
  return Math.round(longest * (0.5 + random() / 2));
}

/** When the next attempt is: not after the moment at which the delivery is given up, so the last attempt is made there. */
export function nextAttemptAt(attempts: number, giveUpAt: Date, now: Date): Date {
  const next = now.getTime() + backoffMs(attempts);
  return new Date(Math.max(now.getTime(), Math.min(next, giveUpAt.getTime())));
}

/** What waits for an endpoint that fails waits at least so long, and at most so long. */
const QUIET_MIN_MS = MINUTE_MS;
const QUIET_MAX_MS = HOUR_MS;

/**
 * How long the deliveries of an endpoint that fails wait without an attempt: a quarter of the time for which it has failed already. Each
 * attempt takes as long as its time limit, so what waits for a dead endpoint must not come to every batch.
 */
export function quietMs(failingSince: string | null, now: Date): number {
  const failingMs = failingSince === null ? 0 : now.getTime() - Date.parse(failingSince);
  return Math.min(QUIET_MAX_MS, Math.max(QUIET_MIN_MS, failingMs / 4));
}
