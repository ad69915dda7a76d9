import { z } from 'zod';

/** RFC 5321: 64 octets, `@`, 255 octets. */
const LENGTH_MAX = 320;

/** An address in the one spelling that is stored and looked up: without spaces around it, NFC, lower case. */
function normaliseEmail(text: string): string {
  return text.trim().normalize('NFC').toLowerCase();
}

/** An e-mail address that a client sends. Two spellings of one address are one address. */
export const emailAddress = z
  .string()
  .max(LENGTH_MAX)
  .overwrite(normaliseEmail)
  .regex(z.regexes.unicodeEmail, 'must be an e-mail address');
