/** How often a price recurs. */
export interface Recurrence {
  readonly interval: string;
  readonly interval_count: number;
}

/** Seconds since 1970; the start belongs to the period, the end does not. */
export interface Period {
  readonly start: number;
  readonly end: number;
}

const DAY_SECONDS = 24 * 60 * 60;

function addMonths(time: number, months: number): number {
  const date = new Date(time * 1000);
  const first = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1));
  const daysInMonth = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  const day = Math.min(date.getUTCDate(), daysInMonth);
  const midnight = Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), day) / 1000;
  return midnight + (time % DAY_SECONDS);
}

/**
 * `count` recurrences after a time, or before it. Months keep their day where they have it: 31 January, 28 February, 31 March,
 * because each boundary is counted from the anchor and none from the one before.
 */
export function addRecurrences(
  anchor: number,
  { interval, interval_count }: Recurrence,
  count: number,
): number {
  const steps = interval_count * count;
  switch (interval) {
    case 'day':
      return anchor + steps * DAY_SECONDS;
    case 'week':
      return anchor + steps * 7 * DAY_SECONDS;
    case 'month':
      return addMonths(anchor, steps);
    case 'year':
      return addMonths(anchor, steps * 12);
    default:
      throw new Error(`no recurrence every ${interval}`);
  }
}

/** The period that a time lies in. Its boundaries are whole recurrences from the anchor, which may lie before or after. */
export function findPeriod(anchor: number, recurrence: Recurrence, time: number): Period {
  const length = addRecurrences(anchor, recurrence, 1) - anchor;
  let count = Math.floor((time - anchor) / length);
  while (addRecurrences(anchor, recurrence, count) > time) count -= 1;
  while (addRecurrences(anchor, recurrence, count + 1) <= time) count += 1;
  return {
    start: addRecurrences(anchor, recurrence, count),
    end: addRecurrences(anchor, recurrence, count + 1),
  };
}
