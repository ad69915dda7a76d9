import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { TimerSchedule } from './timer-schedule.ts';

const Milliseconds = z.number().int();
const StatusFile = z.object({ last: Milliseconds.nullable(), next: Milliseconds, lastUpdated: Milliseconds });

/** What is remembered of a timer between starts; milliseconds since 1970. `last` is null before its first run. */
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

/** A store under `stateDir/timers`. A file that cannot be read counts as none, as in Azure. */
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
      renameSync(temporary, fileOf(name)); // whole or not at all, also when the process is killed
    },
  };
}

/**
 * What a timer starts with, by Azure's rules. A first start, or one with another schedule than last time, runs nothing;
 * a run that was missed while the host was down makes the timer past due, once, however many were missed.
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
  // The schedule is another one now: what the old one missed is not made up for.
  return now > expected
    ? { status: { last: null, next: schedule.nextAfter(now), lastUpdated: now }, isPastDue: false }
    : { status: { last: null, next: expected, lastUpdated: base }, isPastDue: false };
}
