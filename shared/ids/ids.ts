import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';

/** A new UUIDv7: unique, and in order of creation. `at` sets its timestamp (ms precision). */
export function newId(at?: Date): string {
  return at === undefined ? v7() : v7({ msecs: at.getTime() });
}

/** The instant that a UUIDv7 was made, at ms precision; undefined for another version of UUID. */
export function instantOfId(id: string): Date | undefined {
  if (id.charAt(14) !== '7') return undefined;
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}

/** Random bytes as lower-case base32 without look-alikes: safe in headers, URLs and a human's eye. */
export function randomToken(bytes: number): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
  return Array.from(randomBytes(bytes), (byte) => alphabet.charAt(byte & 31)).join('');
}
