import type { RpcLogLevel } from './core-types.ts';

/** One line of the host's log. `source` is `Host` or the name of a function. */
export interface HostLogLine {
  level: RpcLogLevel;
  source: string;
  message: string;
}

/** Receives the host's log lines. */
export type HostLog = (line: HostLogLine) => void;

const RANK: Record<RpcLogLevel, number> = {
  trace: 0,
  debug: 1,
  information: 2,
  warning: 3,
  error: 4,
  critical: 5,
  none: 6,
};

/** Whether a line of `level` is written when `threshold` is the lowest level to write. */
export function isLogged(level: RpcLogLevel, threshold: RpcLogLevel): boolean {
  return threshold !== 'none' && RANK[level] >= RANK[threshold];
}

/** Writes lines to the console as Core Tools does: the time, then the text; warnings and errors to stderr. */
export function logToConsole(line: HostLogLine): void {
  const text = `[${new Date().toISOString()}] ${line.source === 'Host' ? '' : `${line.source}: `}${line.message}`;
  if (RANK[line.level] >= RANK.warning) process.stderr.write(`${text}\n`);
  else process.stdout.write(`${text}\n`);
}

/** Text for a thrown value: an error's stack with its causes, else the value as a string. */
export function describeError(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const own = thrown.stack ?? `${thrown.name}: ${thrown.message}`;
  return thrown.cause === undefined ? own : `${own}\nCaused by: ${describeError(thrown.cause)}`;
}
