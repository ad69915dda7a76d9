/**
 * Loaded before the functions host with `--import`, without the app's knowledge. It shifts `Date` by the milliseconds in the
 * file FAULTS_CLOCK_FILE, which it reads at the start and at each SIGUSR2. Timers and `performance.now()` do not change, as
 * when a machine's clock is set or the machine was suspended.
 */
import { readFileSync } from 'node:fs';

const RealDate = Date;
const file = process.env['FAULTS_CLOCK_FILE'];
let offsetMs = 0;

function readOffset(): void {
  if (file !== undefined) offsetMs = Number(readFileSync(file, 'utf8'));
}

class ShiftedDate extends RealDate {
  constructor(...parts: unknown[]) {
    // Like Date's constructor: without arguments it is now.
    super(...((parts.length === 0 ? [RealDate.now() + offsetMs] : parts) as [number]));
  }
  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

readOffset();
process.on('SIGUSR2', readOffset);
globalThis.Date = ShiftedDate as DateConstructor;
