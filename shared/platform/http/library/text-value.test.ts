import fc from 'fast-check';
import { expect, it } from 'vitest';
import { textValue } from './text-value.ts';

/** What the library itself does. */
function tryJsonParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const nearJson = fc
  .tuple(
    fc.constantFrom('', ' ', '\t\r\n', '\u00a0', '\ufeff', '-', '+', '0', '.'),
    fc.json({ maxDepth: 1 }),
    fc.string(),
  )
  .map(([before, json, after]) => before + json + (after.length > 3 ? '' : after));
const nearNumber = fc.string({ unit: fc.constantFrom(...Array.from('0123456789-+.eE ')), maxLength: 12 });

it('a text becomes what the library makes of it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.uuid(), fc.json(), nearJson, nearNumber), (text) => {
      expect(textValue(text)).toStrictEqual(tryJsonParse(text));
    }),
    { numRuns: 2_000 },
  );
});

it('words, numbers and white space are told as JSON tells them', () => {
  for (const text of [
    'true',
    ' null\n',
    'nul',
    'False',
    '-0',
    '01',
    '1.',
    '.5',
    '1e5',
    '1E-7',
    '',
    ' ',
    '"',
    '{',
    '[1',
  ])
    expect(textValue(text)).toStrictEqual(tryJsonParse(text));
});
