import type { ResetPeriod } from '../plans/plan.ts';

/** A span of time, without its end. */
export interface Period {
  readonly start: Date;
  readonly end: Date;
}

const DAY_MS = 24 * 60 * 60_000;

/**
 * The anchor's day and time of day some months later, on the last day of a month that is shorter. The anchor itself never
 * moves.
 */
function addMonths(anchor: Date, months: number): Date {
  const year = anchor.getUTCFullYear();
  const month = anchor.getUTCMonth() + months;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const midnight = Date.UTC(year, month, Math.min(anchor.getUTCDate(), lastDay));
  return new Date(midnight + (((anchor.getTime() % DAY_MS) + DAY_MS) % DAY_MS));
}

/** The period around an instant, of those that are `step` months long. */
function monthsAround(anchor: Date, step: number, instant: Date): Period {
  const months =
    (instant.getUTCFullYear() - anchor.getUTCFullYear()) * 12 + instant.getUTCMonth() - anchor.getUTCMonth();
  const nearest = Math.floor(months / step) * step;
  const boundary = addMonths(anchor, nearest);
  return boundary > instant
    ? { start: addMonths(anchor, nearest - step), end: boundary }
    : { start: boundary, end: addMonths(anchor, nearest + step) };
}

/**
 * The period around an instant, of an allowance with this anchor: a day (`YYYY-MM-DD`, from midnight UTC) or an instant (RFC
 * 3339). With the anchor 31 January 10:00, months begin at 10:00 on 28 or 29 February, 31 March, 30 April. With the anchor 29
 * February, years begin on 28 February, in leap years on 29 February.
 */
export function periodAround(anchor: string, period: ResetPeriod, instant: Date): Period {
  const from = new Date(anchor);
  const stepsOf = (length: number): Period => {
    const start = from.getTime() + Math.floor((instant.getTime() - from.getTime()) / length) * length;
    return { start: new Date(start), end: new Date(start + length) };
  };
  switch (period) {
    case 'daily':
      return stepsOf(DAY_MS);
    case 'weekly':
      return stepsOf(7 * DAY_MS);
    case 'monthly':
      return monthsAround(from, 1, instant);
    case 'yearly':
      return monthsAround(from, 12, instant);
    default:
      return period satisfies never;
  }
}

/** The first reset after an instant, see {@link periodAround}. */
export function boundaryAfter(anchor: string, period: ResetPeriod, instant: Date): Date {
  return periodAround(anchor, period, instant).end;
}

/**
 * The periods since a reset that was due at `nextResetAt`: the missed ones, oldest first, and the running one.
 */
export function periodsSince(
  anchor: string,
  period: ResetPeriod,
  nextResetAt: Date,
  now: Date,
): { readonly missed: readonly Period[]; readonly running: Period } {
  const missed: Period[] = [];
  let start = nextResetAt;
  let end = boundaryAfter(anchor, period, start);
  while (end <= now) {
    missed.push({ start, end });
    start = end;
    end = boundaryAfter(anchor, period, start);
  }
  return { missed, running: { start, end } };
}

/** The calendar month of an instant, in UTC. */
export function calendarMonth(instant: Date): Period {
  const year = instant.getUTCFullYear();
  const month = instant.getUTCMonth();
  return { start: new Date(Date.UTC(year, month)), end: new Date(Date.UTC(year, month + 1)) };
}

/** When a subscription began, its current period, and where its periods are counted from. Times are RFC 3339. */
export interface SubscriptionTimes {
  readonly started_at: string;
  readonly current_period_start: string;
  readonly current_period_end: string;
  /** Null: the current period's start. */
  readonly billing_cycle_anchor: string | null;
}

/** Where a subscription's periods are counted from. */
export function anchorOf(subscription: SubscriptionTimes): string {
  return subscription.billing_cycle_anchor ?? subscription.current_period_start;
}

/**
 * The period that an instant's usage counts in: a month of the subscription, or the calendar month without one and before
 * it. The stored current period decides where it applies. Before and after it, months are counted from the anchor, so a
 * renewal needs no news from Stripe. A longer period, a year or a long trial, is divided into months from the anchor: a limit
 * is what a month includes.
 */
export function usagePeriod(subscription: SubscriptionTimes | undefined, instant: Date): Period {
  if (subscription === undefined) return calendarMonth(instant);
  const current = {
    start: new Date(subscription.current_period_start),
    end: new Date(subscription.current_period_end),
  };
  const started = earlier(new Date(subscription.started_at), current.start);
  if (instant < started) {
    const month = calendarMonth(instant);
    return { start: month.start, end: earlier(month.end, started) };
  }
  const month = periodAround(anchorOf(subscription), 'monthly', instant);
  if (instant >= current.end) return { start: later(month.start, current.end), end: month.end };
  const [from, to] = instant < current.start ? [started, current.start] : [current.start, current.end];
  return { start: later(month.start, from), end: earlier(month.end, to) };
}

const earlier = (left: Date, right: Date): Date => (left < right ? left : right);
const later = (left: Date, right: Date): Date => (left > right ? left : right);
