/**
 * An RFC 3339 instant as UTC with six digits of a second, which is what the database keeps: equal instants become equal
 * texts. Finer digits are cut off. The instant must be valid.
 */
export function utcMicroseconds(instant: string): string {
  const digits = /\.(\d+)/.exec(instant)?.[1] ?? '';
  const seconds = new Date(instant).toISOString().slice(0, 19);
  return `${seconds}.${digits.slice(0, 6).padEnd(6, '0')}Z`;
}
