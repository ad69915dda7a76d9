/** An error's code, also that of one of several attempts to connect (`AggregateError`). */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'string' && code !== '') return code;
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return codeOf(first ?? (error instanceof Error ? error.cause : undefined));
}

/** An error for a person: its code and the first line of its message. The report hides the secrets that a message may quote. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  const [line = ''] = (error.message === '' ? error.name : error.message).split('\n');
  const text = line.length > 200 ? `${line.slice(0, 200)}…` : line;
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}
