/**
 * Loaded before the functions host by `--import` (the app knows nothing of it): shifts what `Date` tells by the
 * milliseconds that stand in the file of FAULTS_CLOCK_FILE, read at the start and at each SIGUSR2. Timers and
 * `performance.now()` stay as they are: as when a machine's clock is set, or the machine slept.
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
    // As Date's own: without arguments it is now.
    super(...((parts.length === 0 ? [RealDate.now() + offsetMs] : parts) as [number]));
  }
  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

readOffset();
process.on('SIGUSR2', readOffset);
globalThis.Date = ShiftedDate as DateConstructor;
