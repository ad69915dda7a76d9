import { expect, test } from 'vitest';
import { errorFields } from './log.ts';

const SECRET = 'the 123-45-6789 of a client';

test.each([
  ['its message', new Error(`invalid input syntax: ${SECRET}`)],
  [
    'a message with lines that look like a stack',
    new Error(`no\n    at ${SECRET} (file.ts:1:1)\n  at ${SECRET}`),
  ],
  ['its cause', new Error('outer', { cause: new Error(SECRET) })],
  [
    'the details of a database',
    Object.assign(new Error('x'), { detail: SECRET, where: SECRET, code: '23505' }),
  ],
  ['a text that was thrown', SECRET],
  ['an object that was thrown', { message: SECRET }],
])('%s is not logged for an error, because it may quote content', (_what, error) => {
  expect(JSON.stringify(errorFields(error))).not.toContain('123-45-6789');
});

test('for an error, its name, its code and its place are logged', () => {
  const error = Object.assign(new TypeError('two\nlines'), { code: '22P02' });
  expect(errorFields(error)).toEqual({
    error: 'TypeError',
    code: '22P02',
    at: expect.stringMatching(/^at .*log\.test\.ts:\d+:\d+/) as string,
  });
});
