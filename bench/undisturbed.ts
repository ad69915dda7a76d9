import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { processorSeconds } from './processor-time.ts';

/** Of all processors' time, what others may take of a round: the system's own threads take some hundredths. */
const OTHERS_MAX = 0.08;
/** A machine that is never quiet is measured as it is, and the run says so. */
const ATTEMPTS = 4;
const PAUSE_MS = 2_000;
const TICKS_PER_SECOND = 100;

interface MachineTime {
  readonly busy: number;
  readonly all: number;
}

/** Processor seconds of the whole machine so far; undefined where there is no /proc to tell. */
function machineTime(): MachineTime | undefined {
  if (process.platform !== 'linux') return undefined;
  const [, ...ticks] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').trim().split(/\s+/);
  // user, nice, system, idle, iowait, irq, softirq, steal
  const seconds = ticks.slice(0, 8).map((value) => Number(value) / TICKS_PER_SECOND);
  const all = seconds.reduce((sum, value) => sum + value, 0);
  return { busy: all - (seconds[3] ?? 0) - (seconds[4] ?? 0), all };
}

/** Runs a measurement and tells what share of the processors others took meanwhile; 0 where it cannot be told. */
async function withOthersShare<T>(measure: () => Promise<T>): Promise<{ value: T; others: number }> {
  const [machine, own] = [machineTime(), processorSeconds(process.pid)];
  const value = await measure();
  const [machineNow, ownNow] = [machineTime(), processorSeconds(process.pid)];
  if (machine === undefined || machineNow === undefined || own === undefined || ownNow === undefined)
    return { value, others: 0 };
  return {
    value,
    others: (machineNow.busy - machine.busy - (ownNow - own)) / (machineNow.all - machine.all),
  };
}

/**
 * Takes a measurement again where other processes than this run's own took part in it, a few times at the most. What a
 * shared machine does besides would otherwise go into a ratio, into one of its sides more than into the other.
 */
export async function undisturbed<T>(measure: () => Promise<T>, say: (line: string) => void): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const { value, others } = await withOthersShare(measure);
    if (others <= OTHERS_MAX) return value;
    const share = `others took ${(others * 100).toFixed(0)} % of the machine`;
    if (attempt === ATTEMPTS) {
      say(`  ${share}; it is not quiet, and this round counts all the same`);
      return value;
    }
    say(`  ${share}: measured again`);
    await delay(PAUSE_MS);
  }
}
