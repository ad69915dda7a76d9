/** What PostgreSQL, RFC 3339 and a `Date` all write with four digits of a year, whatever is added or the time zone. */
const EARLIEST = Date.parse('1900-01-01T00:00:00Z');
const LATEST = Date.parse('9990-01-01T00:00:00Z');

/** The bounds of {@link isOutOfRange} in words. */
export const INSTANT_BOUNDS = 'must lie between the years 1900 and 9990';

/** Whether an instant, in ms since 1970, is one that this service does not keep. False for what is no instant at all. */
export function isOutOfRange(at: number): boolean {
  return at < EARLIEST || at >= LATEST;
}

/**
 * An RFC 3339 instant as UTC with six digits of a second, which is what the database keeps: equal instants become equal
 * texts. Finer digits are cut off. The instant must be valid.
 */
export function utcMicroseconds(instant: string): string {
  const digits = /\.(\d+)/.exec(instant)?.[1] ?? '';
  const isUtc = instant.endsWith('Z');
  const seconds = (isUtc ? instant : new Date(instant).toISOString()).slice(0, 19);
  return `${seconds}.${digits.slice(0, 6).padEnd(6, '0')}Z`;
}
