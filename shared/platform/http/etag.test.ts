import { describe, expect, test } from 'vitest';
import { etagOf, isNotModified, namesTag, readIfMatch, requireIfMatch } from './etag.ts';
import { Problem } from '../call/problem.ts';

describe('If-Match', () => {
  test.each([
    ['"3"', true],
    ['"2", "3"', true],
    ['*', true],
    ['"2"', false],
    // RFC 9110 §13.1.1: strong comparison.
    ['W/"3"', false],
  ])('%s on version 3: allowed is %s', (header, allowed) => {
    expect(requireIfMatch(header)(3)).toBe(allowed);
  });

  test('allows every version when it is optional and left out', () => {
    expect(readIfMatch(null)(7)).toBe(true);
  });

  test.each([[null], ['3'], ['"3'], ['']])('%s is refused where it is required', (header) => {
    expect(() => requireIfMatch(header)).toThrow(Problem);
  });
});

describe('If-None-Match', () => {
  test.each([
    ['"3"', true],
    ['W/"3"', true],
    ['"1", "3"', true],
    ['*', true],
    ['"4"', false],
    ['3', false],
    [null, false],
  ])('%s on version 3: not modified is %s', (header, expected) => {
    expect(isNotModified(header, 3)).toBe(expected);
  });
});

test.each([
  ['"a-b"', true],
  ['W/"a-b" , "c"', true],
  ['*', true],
  ['"a-b', false],
  ['a-b', false],
  ['"x", *', false],
  [null, false],
])('If-None-Match %s matches a tag that is not a version: %s', (header, expected) => {
  expect(namesTag(header, '"a-b"')).toBe(expected);
});

test('an entity tag is strong and quoted', () => {
  expect(etagOf(12)).toBe('"12"');
});
