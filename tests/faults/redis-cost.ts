import type { Disagreements } from './disagreements.ts';
import type { Attempt } from './ledger.ts';

/** The most extra time of a request without Redis, when the circuit breaker is open. */
const COST_MAX_MS = 50;

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Times of the answered requests of a span, shortest first. */
function timesOf(attempts: readonly Attempt[], from: number, to: number): number[] {
  return attempts
    .filter(({ sentAt, status, tookMs }) => status !== null && sentAt >= from && sentAt + tookMs <= to)
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b);
}

/** Spans that are long enough to contain the app's periodic work. */
export type Spans = readonly { readonly from: number; readonly to: number }[];

/**
 * Compares requests without Redis with those just before, on the same stack: p50, p90 and p99. (The cache's own tests check
 * that no single call waits.) Of several spans without Redis the best one counts: delays by the app are in each span, pauses
 * of the machine seldom in all.
 */
export function checkRedisCost(
  found: Disagreements,
  attempts: readonly Attempt[],
  before: Spans,
  without: Spans,
): void {
  const measure = (spans: Spans, share: number): number[] =>
    spans.map(({ from, to }) => percentile(timesOf(attempts, from, to), share));
  for (const share of [0.5, 0.9, 0.99]) {
    const usual = Math.max(...measure(before, share));
    const best = Math.min(...measure(without, share));
    found.check(
      best - usual <= COST_MAX_MS,
      () =>
        `without Redis ${share * 100} % of the requests took up to ${Math.round(best)} ms, with it ${Math.round(usual)} ms`,
    );
  }
}
