/** Currencies whose amounts Stripe counts in whole units. Not UGX and ISK: they have no minor units any more, and Stripe still counts hundredths. */
const ZERO_DECIMAL: ReadonlySet<string> = new Set(
  'BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' '),
);
const THREE_DECIMAL: ReadonlySet<string> = new Set('BHD JOD KWD OMR TND'.split(' '));

function decimalsOf(currency: string): number {
  const code = currency.toUpperCase();
  if (ZERO_DECIMAL.has(code)) return 0;
  return THREE_DECIMAL.has(code) ? 3 : 2;
}

/**
 * An amount of Stripe's minor units as a decimal of major units: 2900 USD is `29.00`, 2900 JPY is `2900`, 2900 KWD is `2.900`.
 * @throws RangeError if the amount is not a whole number that JavaScript holds exactly.
 */
export function toDecimal(amount: number, currency: string): string {
  if (!Number.isSafeInteger(amount)) throw new RangeError('an amount must be a whole number of minor units');
  const decimals = decimalsOf(currency);
  const sign = amount < 0 ? '-' : '';
  const digits = String(Math.abs(amount)).padStart(decimals + 1, '0');
  if (decimals === 0) return sign + digits;
  return `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/**
 * A decimal of minor units as one of major units, for the price of one unit, which can be less than a minor unit: 0.5 USD is
 * `0.005`.
 */
export function minorToMajor(minor: string, currency: string): string {
  const [whole = '0', part = ''] = minor.split('.');
  const decimals = decimalsOf(currency);
  const digits = whole.padStart(decimals + 1, '0');
  const cut = digits.length - decimals;
  const fraction = `${digits.slice(cut)}${part}`.replace(/0+$/, '').padEnd(decimals, '0');
  const major = digits.slice(0, cut).replace(/^0+(?=\d)/, '');
  return fraction === '' ? major : `${major}.${fraction}`;
}
