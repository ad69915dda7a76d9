import { expect, it } from 'vitest';
import { toDecimal } from './money.ts';

it.each([
  [2900, 'USD', '29.00'],
  [2900, 'eur', '29.00'],
  [5, 'USD', '0.05'],
  [0, 'USD', '0.00'],
  [-1, 'USD', '-0.01'],
  [-2900, 'usd', '-29.00'],
  [2900, 'JPY', '2900'],
  [0, 'jpy', '0'],
  [-5, 'KRW', '-5'],
  [5120, 'KWD', '5.120'],
  [-7, 'bhd', '-0.007'],
  // Without minor units by now, and Stripe still counts hundredths.
  [500, 'ISK', '5.00'],
  [500, 'UGX', '5.00'],
  [Number.MAX_SAFE_INTEGER, 'USD', '90071992547409.91'],
])('%i %s is %s', (amount, currency, decimal) => {
  expect(toDecimal(amount, currency)).toBe(decimal);
});

it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER + 1])(
  'refuses %d, which is no exact whole number',
  (amount) => {
    expect(() => toDecimal(amount, 'USD')).toThrow(RangeError);
  },
);
