import type { Disagreements } from './disagreements.ts';
import type { Attempt } from './ledger.ts';

/** What a Redis that is gone may cost a request, once the breaker is open. */
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

/** Spans that each are long enough to hold whatever the app does every so often. */
export type Spans = readonly { readonly from: number; readonly to: number }[];

/**
 * Compares requests without Redis with those of the same stack just before, by the middle, by nine in ten and by all but
 * one in a hundred (that no single call waits is tested beside the cache itself). Of several spans without Redis the best one counts: what the app itself makes a request wait for, it does in
 * each of them, and a pause of the machine seldom falls into all.
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
