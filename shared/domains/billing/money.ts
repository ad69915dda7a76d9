/** Currencies whose minor unit is the major one, as Stripe takes amounts of them. UGX and ISK go to Stripe with two decimals. */
const ZERO_DECIMAL: ReadonlySet<string> = new Set(
  'BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' '),
);
const THREE_DECIMAL: ReadonlySet<string> = new Set('BHD JOD KWD OMR TND'.split(' '));
const DECIMALS = 2;

/** How many decimals an amount of a currency has. The currency may be in any case: Stripe's are in lower case. */
function decimalsOf(currency: string): number {
  const code = currency.toUpperCase();
  if (ZERO_DECIMAL.has(code)) return 0;
  return THREE_DECIMAL.has(code) ? 3 : DECIMALS;
}

/**
 * An amount of minor units as a decimal of major units: 2900 USD is `29.00`, 2900 JPY is `2900`.
 * @throws RangeError for what is not a whole number.
 */
export function toDecimal(amount: number | bigint | string, currency: string): string {
  const minor = typeof amount === 'bigint' ? amount : BigInt(amount);
  const decimals = decimalsOf(currency);
  const digits = (minor < 0n ? -minor : minor).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const part = decimals === 0 ? '' : `.${digits.slice(-decimals)}`;
  return `${minor < 0n ? '-' : ''}${whole}${part}`;
}
