/** How often an allowance is reset. */
export type ResetPeriod = 'daily' | 'weekly' | 'monthly' | 'yearly';

/** A span of time, without its end. */
export interface Period {
  readonly start: Date;
  readonly end: Date;
}

const DAY_MS = 24 * 60 * 60_000;

/** The anchor's day some months later, or the last day of a shorter month. The anchor itself never moves. */
function addMonths(anchor: Date, months: number): Date {
  const year = anchor.getUTCFullYear();
  const month = anchor.getUTCMonth() + months;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return new Date(Date.UTC(year, month, Math.min(anchor.getUTCDate(), lastDay)));
}

/** The first boundary after an instant, of those that are `step` months apart. */
function monthBoundaryAfter(anchor: Date, step: number, instant: Date): Date {
  const months =
    (instant.getUTCFullYear() - anchor.getUTCFullYear()) * 12 + instant.getUTCMonth() - anchor.getUTCMonth();
  const nearest = Math.floor(months / step) * step;
  const boundary = addMonths(anchor, nearest);
  return boundary > instant ? boundary : addMonths(anchor, nearest + step);
}

/**
 * The first reset after an instant, of an allowance with this anchor day (`YYYY-MM-DD`, UTC). With the anchor 31 January,
 * months begin on 28 or 29 February, 31 March, 30 April. With the anchor 29 February, years begin on 28 February, in leap
 * years on 29 February.
 */
export function boundaryAfter(anchorDate: string, period: ResetPeriod, instant: Date): Date {
  const anchor = new Date(`${anchorDate}T00:00:00Z`);
  const stepsOf = (length: number): Date =>
    new Date(anchor.getTime() + (Math.floor((instant.getTime() - anchor.getTime()) / length) + 1) * length);
  switch (period) {
    case 'daily':
      return stepsOf(DAY_MS);
    case 'weekly':
      return stepsOf(7 * DAY_MS);
    case 'monthly':
      return monthBoundaryAfter(anchor, 1, instant);
    case 'yearly':
      return monthBoundaryAfter(anchor, 12, instant);
    default:
      return period satisfies never;
  }
}

/**
 * The periods since a reset that was due at `nextResetAt`: the missed ones, oldest first, and the running one.
 */
export function periodsSince(
  anchorDate: string,
  period: ResetPeriod,
  nextResetAt: Date,
  now: Date,
): { readonly missed: readonly Period[]; readonly running: Period } {
  const missed: Period[] = [];
  let start = nextResetAt;
  let end = boundaryAfter(anchorDate, period, start);
  while (end <= now) {
    missed.push({ start, end });
    start = end;
    end = boundaryAfter(anchorDate, period, start);
  }
  return { missed, running: { start, end } };
}

/** The calendar month of an instant, in UTC. */
export function calendarMonth(instant: Date): Period {
  const year = instant.getUTCFullYear();
  const month = instant.getUTCMonth();
  return { start: new Date(Date.UTC(year, month)), end: new Date(Date.UTC(year, month + 1)) };
}
