import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildFixtureApp,
  clearEvents,
  eventsOf,
  startFixture,
  until,
  type FixtureApp,
  type FixtureHost,
} from '../fixture-app.ts';
import { parseTimerSchedule } from './timer-schedule.ts';
import { checkPastDue } from './timer-status.ts';

const at = (text: string): number => Date.parse(text);
const nextOf = (schedule: string, from: string): string =>
  new Date(parseTimerSchedule(schedule).nextAfter(at(from))).toISOString();

describe('timer schedules', () => {
  it('counts six fields in UTC, strictly after the given time', () => {
    expect(nextOf('0 */5 * * * *', '2026-03-01T10:05:00Z')).toBe('2026-03-01T10:10:00.000Z');
    expect(nextOf('30 15 2 * * *', '2026-03-01T10:00:00Z')).toBe('2026-03-02T02:15:30.000Z');
    expect(nextOf('0 0 0 31 * *', '2026-01-31T00:00:00Z')).toBe('2026-03-31T00:00:00.000Z');
    expect(nextOf('0 0 9 * Jan-Feb Monday', '2026-01-01T00:00:00Z')).toBe('2026-01-05T09:00:00.000Z');
    expect(nextOf('0 0 * * *', '2026-01-01T00:00:00Z')).toBe('2026-01-02T00:00:00.000Z');
  });

  it('requires day and weekday both to match, as NCRONTAB does', () => {
    expect(nextOf('0 0 0 13 * 5', '2026-01-01T00:00:00Z')).toBe('2026-02-13T00:00:00.000Z');
  });

  it('accepts a time span as the interval between runs', () => {
    expect(nextOf('00:00:30', '2026-01-01T00:00:10Z')).toBe('2026-01-01T00:00:40.000Z');
    expect(nextOf('1.00:00:00', '2026-01-01T00:00:00Z')).toBe('2026-01-02T00:00:00.000Z');
  });

  it('refuses what Azure refuses, and what has no next time', () => {
    for (const text of [
      '* * *',
      '0 0 0 L * *',
      '0 0 0 ? * *',
      '@daily',
      '0 0 0 * * 5#2',
      '61 * * * * *',
      '00:00:00',
      '0 0 0 30 2 *',
    ]) {
      expect(() => parseTimerSchedule(text), text).toThrow();
    }
  });
});

describe('the status of a timer', () => {
  const hourly = parseTimerSchedule('0 0 * * * *');
  const now = at('2026-03-01T10:30:00Z');

  it('is not past due at the first start', () => {
    const { status, isPastDue } = checkPastDue(undefined, hourly, now);
    expect([isPastDue, status.next]).toEqual([false, at('2026-03-01T11:00:00Z')]);
  });

  it('is past due once when runs were missed, also the very first', () => {
    const last = at('2026-03-01T07:00:00Z');
    const ran = { last, lastUpdated: last, next: at('2026-03-01T08:00:00Z') };
    expect(checkPastDue(ran, hourly, now).isPastDue).toBe(true);
    expect(checkPastDue({ ...ran, last: null }, hourly, now).isPastDue).toBe(true);
    expect(checkPastDue(ran, hourly, at('2026-03-01T07:30:00Z')).isPastDue).toBe(false);
  });

  it('is not past due when the schedule has changed', () => {
    const last = at('2026-03-01T07:10:00Z');
    const { status, isPastDue } = checkPastDue(
      { last, lastUpdated: last, next: at('2026-03-01T07:15:00Z') },
      hourly,
      now,
    );
    expect([isPastDue, status.next]).toEqual([false, at('2026-03-01T11:00:00Z')]);
    expect(checkPastDue(status, hourly, now).status).toEqual(status);
  });
});

const SOURCE = `
app.timer('tick', { schedule: '%TICK_SCHEDULE%', runOnStartup: true, handler: (timer) => { tell('tick', timer); } });
app.timer('nightly', { schedule: '0 0 0 1 1 *', handler: (timer) => { tell('nightly', timer); throw new Error('failed run'); } });
app.timer('slow', { schedule: '* * * * * *', handler: async () => {
  tell('slow', 'begun');
  await new Promise((resolve) => { (globalThis as any).releaseTimer = resolve; });
  tell('slow', 'ended');
} });
`;

interface TimerSeen {
  isPastDue: boolean;
  schedule: { adjustForDST: boolean };
  scheduleStatus: { last: string; next: string; lastUpdated: string } | null;
}

describe('timer functions', () => {
  const settings = { TICK_SCHEDULE: '* * * * * *' };
  let app: FixtureApp;
  let running: FixtureHost[] = [];
  async function start(names: string[]): Promise<FixtureHost> {
    const others = ['tick', 'nightly', 'slow'].filter((name) => !names.includes(name));
    const fixture = await startFixture(app, {
      settings,
      disable: { names: others },
      stateDir: join(app.dir, 'state'),
    });
    running.push(fixture);
    return fixture;
  }
  beforeAll(async () => {
    app = await buildFixtureApp(SOURCE);
  });
  beforeEach(() => clearEvents());
  afterEach(async () => {
    for (const { host } of running) {
      const stopped = host.stop();
      (globalThis as { releaseTimer?: () => void }).releaseTimer?.();
      await stopped;
    }
    running = [];
  });
  afterAll(() => app.remove());

  it('run at start if registered so, then on schedule; an interval below a minute has no status', async () => {
    await start(['tick']);
    const seen = await until(
      'three ticks',
      () => eventsOf('tick').length >= 3 && (eventsOf('tick') as TimerSeen[]),
    );
    expect(seen[0]).toEqual({ isPastDue: false, schedule: { adjustForDST: true }, scheduleStatus: null });
  });

  it('make up for a missed run once, marked as past due, and count a failed run as done', async () => {
    const file = join(app.dir, 'state', 'timers', 'nightly.json');
    const year = new Date().getUTCFullYear();
    const last = Date.UTC(year - 2, 0, 1);
    mkdirSync(join(app.dir, 'state', 'timers'), { recursive: true });
    writeFileSync(file, JSON.stringify({ last, lastUpdated: last, next: Date.UTC(year - 1, 0, 1) }));
    const first = await start(['nightly']);
    await until('the run to be saved', () =>
      readFileSync(file, 'utf8').includes(String(Date.UTC(year + 1, 0, 1))),
    );
    const [seen] = eventsOf('nightly') as TimerSeen[];
    expect(seen?.isPastDue).toBe(true);
    expect(seen?.scheduleStatus).toMatchObject({
      last: `${year - 2}-01-01T00:00:00.000+00:00`,
      next: `${year - 1}-01-01T00:00:00.000+00:00`,
    });
    expect(first.lines.some((line) => line.source === 'nightly' && line.message.includes('failed run'))).toBe(
      true,
    );
    await first.host.stop();
    await (await start(['nightly'])).host.stop();
    expect(eventsOf('nightly')).toHaveLength(1);
  });

  it('can be run by hand when they are disabled', async () => {
    const { host, base } = await start([]);
    await expect(host.invoke('nightly')).rejects.toThrow('failed run');
    await expect(host.invoke('none')).rejects.toThrow('no function "none"');
    const run = await fetch(`${base}/admin/functions/tick`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"input":""}',
    });
    expect(run.status).toBe(202);
    await until('the run', () => eventsOf('tick').length === 1);
  });

  it('never overlap, and a stop waits for the current run', async () => {
    const { host } = await start(['slow']);
    await until('a run to begin', () => eventsOf('slow').length === 1);
    const second = Date.now() + 1_500;
    await until('the next tick to pass', () => Date.now() > second);
    expect(eventsOf('slow')).toEqual(['begun']);
    const stopped = host.stop();
    (globalThis as { releaseTimer?: () => void }).releaseTimer?.();
    await stopped;
    expect(eventsOf('slow')).toEqual(['begun', 'ended']);
  });
});
