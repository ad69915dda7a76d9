import { describe, expect, it } from 'vitest';
import { firstWindow, isBeyond, widerWindows, type DaySpan } from './record-windows.ts';

const newest: DaySpan = { descending: true, first: '2026-03-01', last: undefined };
const oldest: DaySpan = { descending: false, first: undefined, last: undefined };
const days = Array.from({ length: 20 }, (_, n) => `2026-02-${String(n + 1).padStart(2, '0')}`);

describe('the days that a page is searched in', () => {
  it('begin with two, across a month’s end', () => {
    expect(firstWindow(newest)).toEqual({ days: ['2026-03-01', '2026-02-28'], complete: false });
    expect(firstWindow({ ...newest, last: '2026-02-28' })?.complete).toBe(true);
    expect(firstWindow(oldest)).toBeUndefined();
  });

  it('widen to 14 days with rows, then to all of them, in the list’s order', () => {
    const windows = widerWindows(newest, firstWindow(newest), [...days, '2026-03-02']);
    expect(windows.map((window) => [window.days[0], window.days.length, window.complete])).toEqual([
      ['2026-02-20', 14, false],
      ['2026-02-20', 20, true],
    ]);
    expect(widerWindows(oldest, undefined, days)[0]?.days[0]).toBe('2026-02-01');
  });

  it('do not widen when the first days have all rows', () => {
    expect(widerWindows(newest, firstWindow(newest), ['2026-02-28'])).toEqual([]);
    expect(widerWindows(oldest, undefined, [])).toEqual([{ days: [], complete: true }]);
  });

  it('stay within the bounds of the list', () => {
    const bounded: DaySpan = { descending: true, first: '2026-02-10', last: '2026-02-09' };
    expect(widerWindows(bounded, undefined, days)).toEqual([
      { days: ['2026-02-10', '2026-02-09'], complete: true },
    ]);
  });

  it('tell whether rows of unread days may come before a row', () => {
    const window = { days: ['2026-03-01', '2026-02-28'], complete: false };
    expect(isBeyond(newest, window, '2026-02-28')).toBe(false);
    expect(isBeyond(newest, window, '2026-02-27')).toBe(true);
    expect(isBeyond(newest, { ...window, complete: true }, '2026-02-27')).toBe(false);
  });
});
