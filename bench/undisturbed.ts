import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { processorSeconds } from './processor-time.ts';

/** The share of processor time that other processes may use in a round. The system's own threads use some hundredths. */
const OTHERS_MAX = 0.08;
/** After this many attempts on a busy machine, the last measurement counts, with a note. */
const ATTEMPTS = 4;
const PAUSE_MS = 2_000;
const TICKS_PER_SECOND = 100;

interface MachineTime {
  readonly busy: number;
  readonly all: number;
}

/** Processor seconds of the whole machine so far; undefined without /proc. */
function machineTime(): MachineTime | undefined {
  if (process.platform !== 'linux') return undefined;
  const [, ...ticks] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').trim().split(/\s+/);
  // user, nice, system, idle, iowait, irq, softirq, steal
  const seconds = ticks.slice(0, 8).map((value) => Number(value) / TICKS_PER_SECOND);
  const all = seconds.reduce((sum, value) => sum + value, 0);
  return { busy: all - (seconds[3] ?? 0) - (seconds[4] ?? 0), all };
}

/** Runs a measurement and returns the share of processor time that other processes used; 0 if it is unknown. */
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
 * Repeats a measurement, a few times at most, when other processes disturbed it. Their work would change one side of a ratio
 * more than the other.
 */
export async function undisturbed<T>(measure: () => Promise<T>, say: (line: string) => void): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const { value, others } = await withOthersShare(measure);
    if (others <= OTHERS_MAX) return value;
    const share = `other processes used ${(others * 100).toFixed(0)} % of the machine`;
    if (attempt === ATTEMPTS) {
      say(`  ${share}; this round counts anyway`);
      return value;
    }
    say(`  ${share}: measured again`);
    await delay(PAUSE_MS);
  }
}
