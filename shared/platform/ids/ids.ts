import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import { randomHex } from './random-pool.ts';
import { isOutOfRange } from '../time/instant.ts';

/** The digits whose upper two bits are RFC 9562's variant, 10. */
const VARIANTS = '89ab';

/** Makes a UUIDv7: unique, and ordered by creation. `at` sets its timestamp (ms precision). */
export function newId(at?: Date): string {
  if (at === undefined) return v7();
  const random = randomHex(10);
  // The variant takes two bits of the digit. The other two are random.
  const variant = VARIANTS.charAt(Number.parseInt(random.charAt(3), 16) & 3);
  return `${timeDigits(at)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

function timeDigits(at: Date): string {
  const time = at.getTime().toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}`;
}

/** No id that was made at this instant or later is less, and every one that was made earlier is: by ids one finds their times. */
export function lowestIdAt(at: Date): string {
  return `${timeDigits(at)}-0000-0000-000000000000`;
}

/**
 * When a UUIDv7 was made, with ms precision. Undefined for other UUID versions, and for a time too far ahead to come from
 * this service.
 */
export function instantOfId(id: string): Date | undefined {
  if (id.charAt(14) !== '7') return undefined;
  const at = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
  return isOutOfRange(at) ? undefined : new Date(at);
}

/** Random bytes as lower-case base32 without similar-looking characters: safe in headers and URLs, and easy to read. */
export function randomToken(bytes: number): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
  return Array.from(randomBytes(bytes), (byte) => alphabet.charAt(byte & 31)).join('');
}
