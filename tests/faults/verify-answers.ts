import type { Disagreements } from './disagreements.ts';
import type { Attempt } from './ledger.ts';
import type { Noise } from './noise.ts';

/** The limit for every answer, also for a 503 because of an unavailable dependency. */
const ANSWER_LIMIT_MS = 2_000;

/** The allowed failures. */
export interface Tolerated {
  /** 503 with Retry-After: a dependency that writes need is unavailable. */
  readonly unavailable: boolean;
  /** Broken or refused connections: the host itself is stopped. */
  readonly unanswered: boolean;
  /** Answers up to the limit of a host that starts: hosts start and stop during the load. */
  readonly starting?: boolean;
}

/** A separate limit for a host that starts while all clients come back at once. */
const COLD_LIMIT_MS = 10_000;

/** Checks that no answer was slower than the limit, each 503 has Retry-After, and only allowed failures occurred. */
export function checkAnswers(
  found: Disagreements,
  attempts: readonly Attempt[],
  tolerated: Tolerated,
  noise: Noise,
): void {
  for (const { what, status, tookMs, sentAt, retryAfter, code, itemStatuses, writes } of attempts) {
    if (status === null) {
      found.check(
        tolerated.unanswered,
        () => `no answer (${String(code)}) to ${what} after ${Math.round(tookMs)} ms`,
      );
      continue;
    }
    const isCold = (tolerated.unanswered && status !== 503) || tolerated.starting === true;
    const limit = isCold ? COLD_LIMIT_MS : ANSWER_LIMIT_MS;
    const forgiven = noise.forgiven(sentAt, sentAt + tookMs);
    found.check(
      tookMs <= limit + forgiven,
      () => `${status} to ${what} took ${Math.round(tookMs)} ms (the machine: ${Math.round(forgiven)} ms)`,
    );
    if (status === 503) {
      found.check(tolerated.unavailable, () => `503 ${String(code)} to ${what}`);
      found.check(Number(retryAfter) >= 1, () => `503 to ${what} with Retry-After ${String(retryAfter)}`);
      continue;
    }
    // A retry that came before the first request had ended.
    const repeatable = writes.every((write) => write.repeatable);
    for (const one of itemStatuses.length > 0 ? itemStatuses : [status]) {
      const fine = (one >= 200 && one < 300) || (repeatable && one === 409);
      found.check(fine, () => `${one} ${String(code)} to ${what}`);
    }
  }
}
