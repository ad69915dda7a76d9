import { z } from 'zod';
import { normalisePassword } from './password-hash.ts';

/** NIST SP 800-63B asks for 15 without a second factor and 8 with one. */
const LENGTH_MIN = 12;
const LENGTH_MAX = 200;

/** A password as a client sends it. What a new one must be is {@link findPasswordFaults}'s. */
export const password = z.string().min(1).max(LENGTH_MAX);

/** A new password. */
export const newPassword = z
  .string()
  .min(LENGTH_MIN)
  .max(LENGTH_MAX)
  .describe('None of the usual ones, no repetition, and without the name in the person’s e-mail address.');

/** The passwords that people choose most. */
async function loadCommon(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  return new Set(dictionary['passwords-common']);
}

let common: Promise<ReadonlySet<string>> | undefined;

/** Fewer characters than this around a usual password do not make it another one: `Password2026!`. */
const AROUND_MIN = 8;
/** A shorter name is in too many words. */
const NAME_MIN = 3;

/** What is wrong with a new password; empty for a good one. No fault contains the password. */
export async function findPasswordFaults(chosen: string, email: string | null): Promise<string[]> {
  const text = normalisePassword(chosen).toLowerCase();
  const faults: string[] = [];
  if (Array.from(text).length < LENGTH_MIN) faults.push(`must have at least ${LENGTH_MIN} characters`);
  if (/^(.+?)\1+$/su.test(text)) faults.push('only repeats itself');
  const usual = await (common ??= loadCommon());
  const word = text.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
  if (usual.has(text) || (usual.has(word) && text.length - word.length < AROUND_MIN))
    faults.push('is one of the passwords that are guessed first');
  const name = normalisePassword(email?.split('@')[0] ?? '').toLowerCase();
  if (name.length >= NAME_MIN && text.includes(name))
    faults.push('contains the name in the person’s e-mail address');
  return faults;
}
