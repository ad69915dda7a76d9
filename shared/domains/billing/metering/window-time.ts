import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../platform/time/clock.ts';

/** Stripe finalises a renewal's invoice about an hour after the period's end. Until then, use of the period is on it. */
const INVOICE_OPEN_MS = 55 * MINUTE_MS;

/** Stripe takes no meter event that is older than 35 days. Use of an earlier time is not charged. An hour is for clocks and ways. */
const STRIPE_PAST_MS = 35 * DAY_MS - HOUR_MS;

interface OfPeriod {
  readonly period_start: string;
  readonly period_end: string;
}

/**
 * The time that Stripe is told for a window: within the window's own period while that one's invoice can still have it. Later, now:
 * then the invoice of the running period has it.
 */
export function reportedAt({ period_start, period_end }: OfPeriod, now: Date): Date {
  const [start, end] = [Date.parse(period_start), Date.parse(period_end)];
  if (now.getTime() >= end + INVOICE_OPEN_MS) return now;
  // Stripe counts whole seconds, and a period ends before its end.
  return new Date(Math.max(start, Math.min(now.getTime(), end - 1000)));
}

/** Why Stripe is not told of a window at all; undefined if it is. */
export function refusalOf(
  window: OfPeriod,
  isLive: boolean,
  now: Date,
): 'too_old' | 'subscription_ended' | undefined {
  const end = Date.parse(window.period_end);
  if (now.getTime() > end + STRIPE_PAST_MS) return 'too_old';
  return !isLive && now.getTime() >= end + INVOICE_OPEN_MS ? 'subscription_ended' : undefined;
}
