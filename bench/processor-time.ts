import { readdirSync, readFileSync } from 'node:fs';

/** Linux reports processor time in hundredths of a second. */
const TICKS_PER_SECOND = 100;

interface ProcessTime {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
}

function readTimes(): ProcessTime[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        // The command's name is in brackets and may contain any characters.
        const fields = stat
          .slice(stat.lastIndexOf(')') + 2)
          .split(' ')
          .map(Number);
        const [, parent = 0] = fields;
        // utime and stime, of the process and of its ended children.
        const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
        return [{ pid: Number(name), parent, seconds: ticks / TICKS_PER_SECOND }];
      } catch {
        return []; // it has just ended
      }
    });
}

/** Processor seconds that a process and its children have used so far; undefined without /proc. */
export function processorSeconds(pid: number | undefined): number | undefined {
  if (pid === undefined || process.platform !== 'linux') return undefined;
  const times = readTimes();
  const sum = (root: number): number =>
    times
      .filter((one) => one.pid === root || one.parent === root)
      .reduce((total, one) => total + (one.pid === root ? one.seconds : sum(one.pid)), 0);
  return sum(pid);
}

/** Processor time of named processes since the meter was made. */
export class ProcessorMeter {
  readonly #pids: Readonly<Record<string, number | undefined>>;
  readonly #before: Record<string, number | undefined>;

  constructor(pids: Readonly<Record<string, number | undefined>>) {
    this.#pids = pids;
    this.#before = this.#read();
  }

  #read(): Record<string, number | undefined> {
    return Object.fromEntries(Object.entries(this.#pids).map(([name, pid]) => [name, processorSeconds(pid)]));
  }

  /** Seconds by name since the meter was made. Unknown values are left out. */
  seconds(): Record<string, number> {
    const now = this.#read();
    return Object.fromEntries(
      Object.entries(now).flatMap(([name, seconds]) => {
        const before = this.#before[name];
        return seconds === undefined || before === undefined ? [] : [[name, seconds - before]];
      }),
    );
  }
}
