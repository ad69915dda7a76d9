import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

// In /proc/<pid>/stat: the name is in brackets and may hold anything, so fields are counted after the last one.
const STATE_FIELD = 0;
const START_TIME_FIELD = 19;

function readStatFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/**
 * Tells a process apart from a later one with the same pid: the moment it started, as the system reports it.
 * Undefined when no such process lives; a zombie does not count as living.
 */
export function readProcessIdentity(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const fields = readStatFields(pid);
    return fields === undefined || fields[STATE_FIELD] === 'Z' ? undefined : fields[START_TIME_FIELD];
  }
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return started === '' ? undefined : started;
  } catch {
    return undefined;
  }
}

/** The command line of a living process as one text, or undefined. */
export function readCommandLine(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    }
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Sends a signal to the process if it is still the one that `identity` was read from; says whether it was. */
export function signalIfSame(pid: number, identity: string, signal: NodeJS.Signals): boolean {
  if (readProcessIdentity(pid) !== identity) {
    return false;
  }
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
