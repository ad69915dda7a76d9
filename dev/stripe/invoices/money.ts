import Stripe from 'stripe';

/**
 * Whole minor units. Halves go away from zero, each line by itself: a credit and a debit of the same time cancel each other,
 * and a preview and its invoice, which have the same lines, have the same sum.
 */
function toMinorUnits(exact: Stripe.Decimal): number {
  return exact.round('half-up', { mode: 'decimal-places', value: 0 }).toNumber();
}

/** What a quantity costs. */
export function priceQuantity(price: Stripe.Price, quantity: Stripe.Decimal | number): number {
  const unit = price.unit_amount_decimal ?? Stripe.Decimal.from(0);
  return toMinorUnits(unit.mul(typeof quantity === 'number' ? Stripe.Decimal.from(quantity) : quantity));
}

/** The part of an amount that a part of a time has. */
export function prorate(amount: number, part: number, whole: number): number {
  if (whole <= 0 || part <= 0) return 0;
  const exact = Stripe.Decimal.from(amount).mul(Stripe.Decimal.from(part));
  return exact.div(Stripe.Decimal.from(whole), 0, 'half-up').toNumber();
}

export function percentOf(amount: number, percent: number): number {
  const exact = Stripe.Decimal.from(amount).mul(Stripe.Decimal.from(String(percent)));
  return exact.div(Stripe.Decimal.from(100), 0, 'half-up').toNumber();
}

export function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}

function digitsOf(currency: string): number {
  const format = new Intl.NumberFormat('en-US', { style: 'currency', currency });
  return format.resolvedOptions().maximumFractionDigits ?? 2;
}

/** `€49.00`, for people. Parts of a minor unit are shown where a price has them. */
export function formatMoney(amount: number | Stripe.Decimal, currency: string): string {
  const digits = digitsOf(currency);
  const value = Number(typeof amount === 'number' ? amount : amount.toString()) / 10 ** digits;
  const format = new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: 12,
  });
  return format.format(value);
}

/** What Stripe does not charge a card for: a smaller amount waits in the customer's balance. In minor units. */
const LEAST_CHARGES: Readonly<Record<string, number>> = { gbp: 30, jpy: 50, sek: 300, nok: 300, dkk: 250 };
const LEAST_CHARGE = 50;

export function leastCharge(currency: string): number {
  return LEAST_CHARGES[currency] ?? LEAST_CHARGE;
}
