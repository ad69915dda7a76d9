import { expect, test } from 'vitest';
import { judgeSkew } from './skew.ts';

const at = (seconds: number): Date => new Date(Date.UTC(2026, 10, 24) + seconds * 1000);

test.each([
  [0, 'ok', 'it and this machine agree'],
  [3, 'ok', 'it is 3.0 s ahead of this machine'],
  [-60, 'warning', 'it is 60.0 s behind this machine'],
  [240, 'warning', 'it is 240.0 s ahead of this machine'],
  [
    241,
    'problem',
    'it is 241.0 s ahead of this machine: signatures of Stripe are refused after 300 s, tokens soon after',
  ],
] as const)('a clock that is %i s off: %s', (seconds, result, detail) => {
  const finding = judgeSkew('it', { theirs: at(seconds), asked: at(0), answered: at(0) });
  expect(finding).toMatchObject({ result, detail });
});

test('what a slow answer and a header without fractions explain does not count', () => {
  // Asked at 0 and answered at 8: their clock showed its time somewhere in between.
  expect(judgeSkew('it', { theirs: at(7), asked: at(0), answered: at(8) }).detail).toBe(
    'it and this machine agree',
  );
  const header = { theirs: at(0), asked: at(0.9), answered: at(0.95), stepMs: 1000 };
  expect(judgeSkew('it', header).detail).toBe('it and this machine agree');
});
