import type { Disagreements } from './disagreements.ts';
import type { Attempt } from './ledger.ts';
import type { Noise } from './noise.ts';

/** A dependency that is dead is answered as 503 within this; nothing else takes longer either. */
const ANSWER_LIMIT_MS = 2_000;

/** What may be answered beside success. */
export interface Tolerated {
  /** 503 with Retry-After: something that a write needs is away. */
  readonly unavailable: boolean;
  /** Connections that break or are refused: the host itself is away. */
  readonly unanswered: boolean;
}

/** A host that starts while all who were cut off come back at once has a limit of its own. */
const COLD_LIMIT_MS = 10_000;

/** No answer took longer than the limit, a 503 says when to come again, and nothing else was answered than may be. */
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
    const limit = tolerated.unanswered && status !== 503 ? COLD_LIMIT_MS : ANSWER_LIMIT_MS;
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
    // A repetition that is faster than what it repeats.
    const repeatable = writes.every((write) => write.repeatable);
    for (const one of itemStatuses.length > 0 ? itemStatuses : [status]) {
      const fine = (one >= 200 && one < 300) || (repeatable && one === 409);
      found.check(fine, () => `${one} ${String(code)} to ${what}`);
    }
  }
}
