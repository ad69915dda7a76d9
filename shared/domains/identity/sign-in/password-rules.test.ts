import { expect, it } from 'vitest';
import { hashPassword, isPasswordOf, isWeakHash } from './password-hash.ts';
import { findPasswordFaults } from './password-rules.ts';

const GUESSED = 'is one of the passwords that are guessed first';

it.each([
  ['correct horse battery', []],
  ['Grüße aus dem Süden', []],
  ['b7-3_x!q', ['must have at least 12 characters']],
  ['Password2026!', [GUESSED]],
  ['QWERTYUIOP12', [GUESSED]],
  ['passwordpassword', ['only repeats itself', GUESSED]],
  ['gzkqgzkqgzkq', ['only repeats itself']],
  ['my jo.doe password', ['contains the name in the person’s e-mail address']],
  ['my ＪＯ.doe password', ['contains the name in the person’s e-mail address']],
])('the password %j has the faults %j', async (password, faults) => {
  expect(await findPasswordFaults(password, 'jo.doe@example.com')).toEqual(faults);
});

it('a short name in an address may be in a password', async () => {
  expect(await findPasswordFaults('about the weather', 'ab@example.com')).toEqual([]);
});

it('a hash is argon2id with its parameters, and fits every spelling of its password', async () => {
  const hash = await hashPassword('Grüße aus dem Süden');
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await isPasswordOf(hash, 'Grüße aus dem Süden'.normalize('NFD'))).toBe(true);
  expect(await isPasswordOf(hash, 'Grüße aus dem süden')).toBe(false);
  expect(await isPasswordOf(null, 'Grüße aus dem Süden')).toBe(false);
  expect(await isWeakHash(hash)).toBe(false);
  const { default: argon2 } = await import('@node-rs/argon2');
  expect(await isWeakHash(await argon2.hash('x', { memoryCost: 8_192, timeCost: 1 }))).toBe(true);
});
