/**
 * PostgreSQL, RFC 3339 and `Date` all write these years with four digits, also after an addition or in another time zone.
 */
const EARLIEST = Date.parse('1900-01-01T00:00:00Z');
const LATEST = Date.parse('9990-01-01T00:00:00Z');

/** The bounds of {@link isOutOfRange} as a message. */
export const INSTANT_BOUNDS = 'must lie between the years 1900 and 9990';

/** Whether an instant, in ms since 1970, is outside the supported years. False for a value that is not an instant. */
export function isOutOfRange(at: number): boolean {
  return at < EARLIEST || at >= LATEST;
}

/**
 * An RFC 3339 instant as UTC with six digits of a second, like in the database: equal instants become equal texts. Finer
 * digits are cut off. The instant must be valid.
 */
export function utcMicroseconds(instant: string): string {
  const digits = /\.(\d+)/.exec(instant)?.[1] ?? '';
  const isUtc = instant.endsWith('Z');
  const seconds = (isUtc ? instant : new Date(instant).toISOString()).slice(0, 19);
  return `${seconds}.${digits.slice(0, 6).padEnd(6, '0')}Z`;
}
