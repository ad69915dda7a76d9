import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ResetPeriod } from '../plans/plan.ts';
import { boundaryAfter, calendarMonth, periodsSince, usagePeriod } from './periods.ts';

const day = (date: string): Date => new Date(`${date}T00:00:00Z`);
const dayOf = (instant: Date): string => instant.toISOString().slice(0, 10);

describe('the next reset of an allowance', () => {
  test.each<[string, ResetPeriod, string, string]>([
    ['2026-01-31', 'monthly', '2026-01-31', '2026-02-28'],
    ['2026-01-31', 'monthly', '2026-02-28', '2026-03-31'],
    ['2026-01-31', 'monthly', '2026-03-31', '2026-04-30'],
    ['2028-01-31', 'monthly', '2028-01-31', '2028-02-29'],
    ['2026-01-30', 'monthly', '2026-02-27', '2026-02-28'],
    ['2026-12-15', 'monthly', '2026-12-15', '2027-01-15'],
    ['2026-06-15', 'monthly', '2026-03-20', '2026-04-15'],
    ['2024-02-29', 'yearly', '2024-02-29', '2025-02-28'],
    ['2024-02-29', 'yearly', '2027-02-28', '2028-02-29'],
    ['2026-07-04', 'yearly', '2026-07-03', '2026-07-04'],
    ['2026-07-04', 'yearly', '2026-07-04', '2027-07-04'],
    ['2026-11-25', 'weekly', '2026-11-25', '2026-12-02'],
    ['2026-11-25', 'weekly', '2026-11-20', '2026-11-25'],
    ['2026-11-25', 'daily', '2026-12-31', '2027-01-01'],
  ])('anchored at %s, %s: after %s on %s', (anchor, period, after, expected) => {
    expect(dayOf(boundaryAfter(anchor, period, day(after)))).toBe(expected);
  });

  test('comes at the boundary, not a moment before', () => {
    const boundary = day('2026-02-28');
    const before = new Date(boundary.getTime() - 1);
    expect(boundaryAfter('2026-01-31', 'monthly', before)).toEqual(boundary);
    expect(dayOf(boundaryAfter('2026-01-31', 'monthly', boundary))).toBe('2026-03-31');
  });
});

describe('missed periods', () => {
  test('are listed one by one, oldest first, up to the running one', () => {
    const { missed, running } = periodsSince('2026-01-31', 'monthly', day('2026-02-28'), day('2026-05-02'));
    expect(missed.map(({ start, end }) => [dayOf(start), dayOf(end)])).toEqual([
      ['2026-02-28', '2026-03-31'],
      ['2026-03-31', '2026-04-30'],
    ]);
    expect([dayOf(running.start), dayOf(running.end)]).toEqual(['2026-04-30', '2026-05-31']);
  });

  test('are none at the moment of the reset', () => {
    const { missed, running } = periodsSince('2026-01-31', 'monthly', day('2026-02-28'), day('2026-02-28'));
    expect(missed).toEqual([]);
    expect([dayOf(running.start), dayOf(running.end)]).toEqual(['2026-02-28', '2026-03-31']);
  });
});

const anchors = fc
  .date({ min: day('2000-01-01'), max: day('2060-12-31'), noInvalidDate: true })
  .map((date) => dayOf(date));
const instants = fc.date({ min: day('1999-01-01'), max: day('2070-12-31'), noInvalidDate: true });
const periods = fc.constantFrom<ResetPeriod[]>('daily', 'weekly', 'monthly', 'yearly');
/** The longest period, leap days included. */
const LONGEST_DAYS = { daily: 1, weekly: 7, monthly: 31, yearly: 366 };
const DAY_MS = 24 * 60 * 60_000;

describe('for any anchor, period and instant', () => {
  test('the next boundary is in the future, at midnight, at most one period ahead', () => {
    fc.assert(
      fc.property(anchors, periods, instants, (anchor, period, instant) => {
        const next = boundaryAfter(anchor, period, instant);
        const ahead = next.getTime() - instant.getTime();
        return ahead > 0 && ahead <= LONGEST_DAYS[period] * DAY_MS && next.getTime() % DAY_MS === 0;
      }),
    );
  });

  test('a month or year begins on the anchor’s day, or on the last day of a shorter month', () => {
    fc.assert(
      fc.property(anchors, fc.constantFrom('monthly', 'yearly'), instants, (anchor, period, instant) => {
        const next = boundaryAfter(anchor, period, instant);
        const anchorDay = Number(anchor.slice(8));
        const lastDay = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
        return next.getUTCDate() === Math.min(anchorDay, lastDay);
      }),
    );
  });

  test('catching up leaves no gap and no overlap, and ends with the running period', () => {
    fc.assert(
      fc.property(
        anchors,
        periods,
        instants,
        fc.integer({ min: 0, max: 800 }),
        (anchor, period, last, days) => {
          const due = boundaryAfter(anchor, period, last);
          const now = new Date(due.getTime() + days * DAY_MS);
          const { missed, running } = periodsSince(anchor, period, due, now);
          const all = [...missed, running];
          expect(all[0]?.start).toEqual(due);
          all.slice(1).forEach((next, n) => expect(next.start).toEqual(all[n]?.end));
          expect(running.start <= now && now < running.end).toBe(true);
        },
      ),
    );
  });

  test('catching up at once or step by step gives the same result', () => {
    fc.assert(
      fc.property(
        anchors,
        periods,
        instants,
        fc.integer({ min: 0, max: 400 }),
        (anchor, period, last, days) => {
          const due = boundaryAfter(anchor, period, last);
          const halfway = new Date(due.getTime() + Math.floor(days / 2) * DAY_MS);
          const now = new Date(due.getTime() + days * DAY_MS);
          const atOnce = periodsSince(anchor, period, due, now).running;
          const first = periodsSince(anchor, period, due, halfway).running;
          const then = first.end <= now ? periodsSince(anchor, period, first.end, now).running : first;
          expect(then).toEqual(atOnce);
        },
      ),
    );
  });
});

describe('over four centuries, with all kinds of leap years', () => {
  const END = day('2400-03-02');

  test.each<[string, string, ResetPeriod, number]>([
    ['months from the 31st', '2000-01-31', 'monthly', 4801],
    ['months from a leap day', '2000-02-29', 'monthly', 4800],
    ['years from a leap day', '2000-02-29', 'yearly', 400],
    ['years from the day after', '2000-03-01', 'yearly', 400],
  ])(
    'no period is skipped or doubled, and a shorter month does not move a later one: %s',
    (_what, anchor, period, count) => {
      const anchorDay = Number(anchor.slice(8));
      const months = period === 'yearly' ? 12 : 1;
      let at = new Date(`${anchor}T00:00:00Z`);
      let periodsSeen = 0;
      for (
        let next = boundaryAfter(anchor, period, at);
        next < END;
        next = boundaryAfter(anchor, period, at)
      ) {
        const passed =
          (next.getUTCFullYear() - at.getUTCFullYear()) * 12 + next.getUTCMonth() - at.getUTCMonth();
        const lastDay = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
        if (passed !== months || next.getUTCDate() !== Math.min(anchorDay, lastDay))
          throw new Error(`${dayOf(at)} is followed by ${dayOf(next)}`);
        at = next;
        periodsSeen += 1;
      }
      expect(periodsSeen).toBe(count);
    },
  );
});

test('a calendar month contains its first moment and not the next month’s', () => {
  const month = calendarMonth(new Date('2026-12-31T23:59:59.999Z'));
  expect([dayOf(month.start), dayOf(month.end)]).toEqual(['2026-12-01', '2027-01-01']);
});

describe('a subscription’s months', () => {
  const at = (subscription: Parameters<typeof usagePeriod>[0], instant: string): string[] => {
    const { start, end } = usagePeriod(subscription, new Date(instant));
    return [start, end].map((time) => time.toISOString().replace(':00.000Z', 'Z'));
  };
  const monthly = {
    started_at: '2026-01-31T10:00:00Z',
    current_period_start: '2026-01-31T10:00:00Z',
    current_period_end: '2026-02-28T10:00:00Z',
    billing_cycle_anchor: '2026-01-31T10:00:00Z',
  };

  test.each([
    ['2026-02-28T09:59:59Z', '2026-01-31T10:00Z', '2026-02-28T10:00Z'],
    ['2026-02-28T10:00:00Z', '2026-02-28T10:00Z', '2026-03-31T10:00Z'],
    ['2026-03-31T09:59:59Z', '2026-02-28T10:00Z', '2026-03-31T10:00Z'],
    ['2026-03-31T10:00:00Z', '2026-03-31T10:00Z', '2026-04-30T10:00Z'],
    ['2028-02-29T10:00:00Z', '2028-02-29T10:00Z', '2028-03-31T10:00Z'],
    ['2026-01-31T09:59:59Z', '2026-01-01T00:00Z', '2026-01-31T10:00Z'],
    ['2025-12-24T00:00:00Z', '2025-12-01T00:00Z', '2026-01-01T00:00Z'],
  ])('keep the anchor’s day and time of day, without news of a renewal: at %s', (instant, start, end) => {
    expect(at(monthly, instant)).toEqual([start, end]);
  });

  test('divide a year from its anchor', () => {
    const yearly = {
      ...monthly,
      current_period_end: '2027-01-31T10:00:00Z',
    };
    expect(at(yearly, '2026-02-28T10:00:00Z')).toEqual(['2026-02-28T10:00Z', '2026-03-31T10:00Z']);
    expect(at(yearly, '2027-01-31T09:00:00Z')).toEqual(['2026-12-31T10:00Z', '2027-01-31T10:00Z']);
    expect(at(yearly, '2027-01-31T10:00:00Z')).toEqual(['2027-01-31T10:00Z', '2027-02-28T10:00Z']);
  });

  test('begin with a trial, whose end is the anchor', () => {
    const trial = {
      started_at: '2026-11-26T08:30:00Z',
      current_period_start: '2026-11-26T08:30:00Z',
      current_period_end: '2026-12-10T08:30:00Z',
      billing_cycle_anchor: '2026-12-10T08:30:00Z',
    };
    expect(at(trial, '2026-11-27T00:00:00Z')).toEqual(['2026-11-26T08:30Z', '2026-12-10T08:30Z']);
    expect(at(trial, '2026-12-10T08:30:00Z')).toEqual(['2026-12-10T08:30Z', '2027-01-10T08:30Z']);
  });

  test('are calendar months without a subscription', () => {
    expect(at(undefined, '2026-11-26T08:30:00Z')).toEqual(['2026-11-01T00:00Z', '2026-12-01T00:00Z']);
  });

  test('have each instant in exactly one of them, none longer than a month, whatever the subscription', () => {
    const hours = fc.integer({ min: 1, max: 24 * 500 });
    fc.assert(
      fc.property(instants, hours, hours, hours, instants, (start, length, before, back, instant) => {
        const hour = 60 * 60_000;
        const subscription = {
          started_at: new Date(start.getTime() - back * hour).toISOString(),
          current_period_start: start.toISOString(),
          current_period_end: new Date(start.getTime() + length * hour).toISOString(),
          billing_cycle_anchor: new Date(start.getTime() - before * hour).toISOString(),
        };
        const period = usagePeriod(subscription, instant);
        expect(period.start <= instant && instant < period.end).toBe(true);
        expect(period.end.getTime() - period.start.getTime()).toBeLessThanOrEqual(31 * DAY_MS);
        for (const other of [period.start, new Date(period.end.getTime() - 1)])
          expect(usagePeriod(subscription, other)).toEqual(period);
      }),
    );
  });
});
