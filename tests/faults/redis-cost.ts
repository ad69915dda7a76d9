import type { Attempt } from './ledger.ts';
import type { TcpProxy } from './tcp-proxy.ts';

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
type Spans = readonly Span[];

/** A time, of `performance.now()`, and the bytes that the app sent to Redis in it. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly sentBytes: number;
}

/** Begins a span. The function that it returns ends it. `redis` is the proxy between the app and Redis. */
export function openSpan(redis: TcpProxy): () => Span {
  const [from, sent] = [performance.now(), redis.sent('up')];
  return () => ({ from, to: performance.now(), sentBytes: redis.sent('up') - sent });
}

/** How often the cache asks an unavailable Redis whether it is back, and what it sends then. */
const PROBE_EVERY_MS = 1_000;
const PROBE_BYTES = '*1\r\n$4\r\nping\r\n'.length;

/** The bytes of a span that were no probe, for a Redis that takes commands and does not answer. */
export function findCommands({ from, to, sentBytes }: Span): number {
  const probes = Math.ceil((to - from) / PROBE_EVERY_MS) + 1;
  return Math.max(0, sentBytes - probes * PROBE_BYTES);
}

/**
 * Compares requests without Redis with those just before, on the same stack: p50, p90 and p99. (The cache's own tests check
 * that no single call waits.) Of several spans without Redis the best one counts: delays by the app are in each span, pauses
 * of the machine seldom in all. Returns what took too long.
 */
export function findRedisCost(attempts: readonly Attempt[], before: Spans, without: Spans): string[] {
  const measure = (spans: Spans, share: number): number[] =>
    spans.map(({ from, to }) => percentile(timesOf(attempts, from, to), share));
  return [0.5, 0.9, 0.99].flatMap((share) => {
    const usual = Math.max(...measure(before, share));
    const best = Math.min(...measure(without, share));
    if (best - usual <= COST_MAX_MS) return [];
    return [
      `without Redis ${share * 100} % of the requests took up to ${Math.round(best)} ms, with it ${Math.round(usual)} ms`,
    ];
  });
}
