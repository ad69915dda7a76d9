import { addDays, utcDay } from '../../platform/time/clock.ts';

/** Days of the first window: a busy tenant's page fits in one day, but that day may have just begun. */
export const FIRST_WINDOW_DAYS = 2;
/** Days with rows in the second window. The third window has all of them. */
const SECOND_WINDOW_DAYS = 14;

/** A list's first and last UTC day, in its order; undefined if open. */
export interface DaySpan {
  readonly descending: boolean;
  readonly first: string | undefined;
  readonly last: string | undefined;
}

/** Part of a list's days, in its order. */
export interface DayWindow {
  readonly days: readonly string[];
  /** True if no day of the span is after it. */
  readonly complete: boolean;
}

/** The first window, which needs no knowledge of the days with rows; undefined if the list's beginning is open. */
export function firstWindow(span: DaySpan): DayWindow | undefined {
  if (span.first === undefined) return undefined;
  const start = new Date(span.first);
  const days = Array.from({ length: FIRST_WINDOW_DAYS }, (_, n) =>
    utcDay(addDays(start, span.descending ? -n : n)),
  );
  const { last } = span;
  return { days, complete: last !== undefined && days.some((day) => !isBefore(span, day, last)) };
}

/** The next windows, each wider; none if the window before had all days with rows. */
export function widerWindows(
  span: DaySpan,
  tried: DayWindow | undefined,
  occupied: readonly string[],
): readonly DayWindow[] {
  const { first, last } = span;
  const days = occupied
    .filter((day) => first === undefined || !isBefore(span, day, first))
    .filter((day) => last === undefined || !isBefore(span, last, day))
    .sort((left, right) => (isBefore(span, left, right) ? -1 : 1));
  if (tried !== undefined && days.every((day) => tried.days.includes(day))) return [];
  const all = { days, complete: true };
  if (days.length <= SECOND_WINDOW_DAYS) return [all];
  return [{ days: days.slice(0, SECOND_WINDOW_DAYS), complete: false }, all];
}

/** Whether a day is after a window. Then rows of days that were not read may come before that day's rows. */
export function isBeyond(span: DaySpan, window: DayWindow, day: string): boolean {
  const end = window.days.at(-1);
  return !window.complete && (end === undefined || isBefore(span, end, day));
}

/** Whether one day comes before another in the list's order. */
function isBefore(span: DaySpan, left: string, right: string): boolean {
  return span.descending ? left > right : left < right;
}
