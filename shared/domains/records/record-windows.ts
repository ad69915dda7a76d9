import { addDays, utcDay } from '../../platform/time/clock.ts';

/** Days that a page is first looked for in: a busy tenant's page lies within one, and that one may just have begun. */
export const FIRST_WINDOW_DAYS = 2;
/** Then in so many of the days that hold rows at all, then in all of them. */
const SECOND_WINDOW_DAYS = 14;

/** Where a list begins and ends, as UTC days in its order; undefined where that is open. */
export interface DaySpan {
  readonly descending: boolean;
  readonly first: string | undefined;
  readonly last: string | undefined;
}

/** Part of a list's days, in its order. */
export interface DayWindow {
  readonly days: readonly string[];
  /** True where no day of the span lies beyond. */
  readonly complete: boolean;
}

/** The window to try before it is known which days hold rows; undefined where the list's beginning is open. */
export function firstWindow(span: DaySpan): DayWindow | undefined {
  if (span.first === undefined) return undefined;
  const start = new Date(span.first);
  const days = Array.from({ length: FIRST_WINDOW_DAYS }, (_, n) =>
    utcDay(addDays(start, span.descending ? -n : n)),
  );
  const { last } = span;
  return { days, complete: last !== undefined && days.some((day) => !isBefore(span, day, last)) };
}

/** The windows to try next, wider and wider; none where the one tried before held every day with rows. */
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

/** Whether a day lies beyond a window: rows of days that were not read may come before that day's. */
export function isBeyond(span: DaySpan, window: DayWindow, day: string): boolean {
  const end = window.days.at(-1);
  return !window.complete && (end === undefined || isBefore(span, end, day));
}

/** Whether one day comes before another in the list's order. */
function isBefore(span: DaySpan, left: string, right: string): boolean {
  return span.descending ? left > right : left < right;
}
