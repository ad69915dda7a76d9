import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { TimerSchedule } from './timer-schedule.ts';

const Milliseconds = z.number().int();
const StatusFile = z.object({ last: Milliseconds.nullable(), next: Milliseconds, lastUpdated: Milliseconds });

/** What is stored of a timer between starts, in epoch milliseconds. `last` is null before its first run. */
export interface TimerStatus {
  readonly last: number | null;
  readonly next: number;
  readonly lastUpdated: number;
}

/** Keeps the status of timers in files, one each. */
export interface TimerStatusStore {
  read(name: string): TimerStatus | undefined;
  write(name: string, status: TimerStatus): void;
}

/** A store under `stateDir/timers`. As in Azure, an unreadable file counts as missing. */
export function openTimerStatusStore(stateDir: string): TimerStatusStore {
  const dir = join(stateDir, 'timers');
  const fileOf = (name: string): string => join(dir, `${name}.json`);
  return {
    read(name) {
      try {
        return StatusFile.parse(JSON.parse(readFileSync(fileOf(name), 'utf8')));
      } catch {
        return undefined;
      }
    },
    write(name, status) {
      mkdirSync(dir, { recursive: true });
      const temporary = `${fileOf(name)}.${process.pid}.tmp`;
      writeFileSync(temporary, JSON.stringify(status));
      renameSync(temporary, fileOf(name)); // so that a kill leaves no half-written file
    },
  };
}

/**
 * A timer's status at the start, by Azure's rules. A first start, or one with a changed schedule, runs nothing. If runs were
 * missed while the host was down, the timer is past due: it runs once for all of them.
 */
export function checkPastDue(
  stored: TimerStatus | undefined,
  schedule: TimerSchedule,
  now: number,
): { status: TimerStatus; isPastDue: boolean } {
  if (!stored)
    return { status: { last: null, next: schedule.nextAfter(now), lastUpdated: now }, isPastDue: false };
  const base = stored.last ?? stored.lastUpdated;
  const expected = schedule.nextAfter(base);
  if (expected === stored.next) return { status: stored, isPastDue: now > stored.next };
  // The schedule has changed: missed runs of the old one are not made up for.
  return now > expected
    ? { status: { last: null, next: schedule.nextAfter(now), lastUpdated: now }, isPastDue: false }
    : { status: { last: null, next: expected, lastUpdated: base }, isPastDue: false };
}
