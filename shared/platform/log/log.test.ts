import { expect, test } from 'vitest';
import { errorFields } from './log.ts';

const SECRET = 'the 123-45-6789 of a client';

test.each([
  ['its message', new Error(`invalid input syntax: ${SECRET}`)],
  [
    'a message of several lines that looks like a stack',
    new Error(`no\n    at ${SECRET} (file.ts:1:1)\n  at ${SECRET}`),
  ],
  ['its cause', new Error('outer', { cause: new Error(SECRET) })],
  [
    'what a database says beside it',
    Object.assign(new Error('x'), { detail: SECRET, where: SECRET, code: '23505' }),
  ],
  ['a text that was thrown', SECRET],
  ['an object that was thrown', { message: SECRET }],
])('nothing of %s is logged of an error: it may quote content', (_what, error) => {
  expect(JSON.stringify(errorFields(error))).not.toContain('123-45-6789');
});

test('of an error are logged its name, its code and where it came from', () => {
  const error = Object.assign(new TypeError('two\nlines'), { code: '22P02' });
  expect(errorFields(error)).toEqual({
    error: 'TypeError',
    code: '22P02',
    at: expect.stringMatching(/^at .*log\.test\.ts:\d+:\d+/) as string,
  });
});
