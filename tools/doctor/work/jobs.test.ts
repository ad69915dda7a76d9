import { expect, test } from 'vitest';
import { timers } from '../../../functions/timers.ts';
import { longestPauseMs } from './jobs.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

test.each([
  ['0 * * * * *', MINUTE_MS],
  ['30 * * * * *', MINUTE_MS],
  ['0 */5 * * * *', 5 * MINUTE_MS],
  ['0 2-59/5 * * * *', 5 * MINUTE_MS],
  ['0 5/15 * * * *', 15 * MINUTE_MS],
  ['0 40 * * * *', HOUR_MS],
  ['0 10 0 * * *', 24 * HOUR_MS],
  ['0 0 0,6 * * *', 18 * HOUR_MS],
  ['0 0 3 * * 1', 7 * 24 * HOUR_MS],
])('%s pauses for at most %i ms', (schedule, pauseMs) => {
  expect(longestPauseMs(schedule, new Date('2026-11-24T12:34:56Z'))).toBe(pauseMs);
});

test('every schedule of the app is understood', () => {
  for (const { job, schedule } of timers)
    expect(longestPauseMs(schedule, new Date('2026-11-24')), job.name).toBeGreaterThanOrEqual(MINUTE_MS);
});
