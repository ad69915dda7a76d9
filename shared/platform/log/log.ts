/** The fields of a log line: names, counts, ids. Never a body, never content. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

type Level = 'info' | 'warn' | 'error';

function write(level: Level, event: string, fields: LogFields): void {
  const line = JSON.stringify({ level, event, ...fields });
  if (level === 'info') console.info(line);
  else if (level === 'warn') console.warn(line);
  else console.error(line);
}

/**
 * The app's log: one JSON line for each event, on the console, which the Functions host forwards. `event` is a stable
 * kebab-case name to search for.
 */
export const log = {
  info: (event: string, fields: LogFields = {}): void => write('info', event, fields),
  warn: (event: string, fields: LogFields = {}): void => write('warn', event, fields),
  error: (event: string, fields: LogFields = {}): void => write('error', event, fields),
};

/**
 * The parts of an error that may be logged: its name, its code and its place. The message is left out, because databases and
 * parsers quote content in it.
 */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  // The stack begins with the message, and lines of the message could look like frames.
  const stack = error.stack ?? '';
  const start = stack.indexOf(error.message);
  const frames = stack
    .slice(start < 0 ? 0 : start + error.message.length)
    .split('\n')
    .filter((line) => line.trimStart().startsWith('at '));
  return {
    error: error.name,
    code,
    at: frames
      .slice(0, 4)
      .map((line) => line.trim())
      .join(' < '),
  };
}
