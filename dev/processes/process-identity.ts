import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

// Fields of /proc/<pid>/stat after the last bracket: the name before it is in brackets and may contain any characters.
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
 * Distinguishes a process from a later one with the same pid: the system's start time of the process. Undefined when there
 * is no such process, or only a zombie.
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

/** The command line of a running process as one text, or undefined. */
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

/** Signals the process if it still has this identity. Returns whether it did. */
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
