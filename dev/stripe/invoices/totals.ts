import type Stripe from 'stripe';
import { refId } from '../objects/refs.ts';
import type { DiscountTerms } from '../seams/coupons-and-meters.ts';
import { leastCharge, percentOf, prorate, sum } from './money.ts';

function netOf({ amount, discount_amounts }: Stripe.InvoiceLineItem): number {
  return amount - sum((discount_amounts ?? []).map((one) => one.amount));
}

function isDiscounted(line: Stripe.InvoiceLineItem, terms: DiscountTerms): boolean {
  const product = line.pricing?.price_details?.product ?? '';
  return line.discountable && line.amount > 0 && terms.appliesTo(product);
}

/** Shares an amount out in proportion to weights, to the last minor unit. */
function share(amount: number, weights: readonly number[]): number[] {
  const whole = sum(weights);
  let [weightSoFar, given] = [0, 0];
  return weights.map((weight) => {
    weightSoFar += weight;
    const upToHere = prorate(amount, weightSoFar, whole);
    const part = upToHere - given;
    given = upToHere;
    return part;
  });
}

function amountsOff(nets: readonly number[], terms: DiscountTerms): number[] {
  if (terms.percentOff !== null) return nets.map((net) => percentOf(net, terms.percentOff ?? 0));
  return share(Math.min(terms.amountOff ?? 0, sum(nets)), nets);
}

/**
 * Takes discounts off lines, one after the other, each of what the one before has left. A percentage is taken of each line, an
 * amount is shared out among them.
 */
export function discountLines(
  lines: readonly Stripe.InvoiceLineItem[],
  discounts: readonly DiscountTerms[],
): Stripe.InvoiceLineItem[] {
  let discounted = lines.map((line): Stripe.InvoiceLineItem => ({ ...line, discount_amounts: [] }));
  for (const terms of discounts) {
    const off = amountsOff(
      discounted.map((line) => (isDiscounted(line, terms) ? netOf(line) : 0)),
      terms,
    );
    discounted = discounted.map((line, index) => {
      if (!isDiscounted(line, terms)) return line;
      const amounts = [...(line.discount_amounts ?? []), { amount: off[index] ?? 0, discount: terms.id }];
      return { ...line, discount_amounts: amounts };
    });
  }
  return discounted;
}

/** What a line costs with its discounts. */
export { netOf as netAmount };

function totalDiscounts(lines: readonly Stripe.InvoiceLineItem[]): Stripe.Invoice.TotalDiscountAmount[] {
  const totals = new Map<string, number>();
  for (const { discount_amounts } of lines)
    for (const { amount, discount } of discount_amounts ?? [])
      totals.set(refId(discount), (totals.get(refId(discount)) ?? 0) + amount);
  return [...totals].map(([discount, amount]) => ({ amount, discount }));
}

/**
 * What of a total is to be paid, given the customer's balance: what is owed to the customer (negative) pays first, what the
 * customer owes is added, and less than a card can be charged waits in the balance.
 */
export function applyBalance(
  total: number,
  balance: number,
  currency: string,
): { due: number; balanceAfter: number } {
  const due = total + balance;
  if (due <= 0 || due < leastCharge(currency)) return { due: 0, balanceAfter: due };
  return { due, balanceAfter: 0 };
}

type Totals = Pick<
  Stripe.Invoice,
  | 'amount_due'
  | 'amount_remaining'
  | 'starting_balance'
  | 'subtotal'
  | 'subtotal_excluding_tax'
  | 'total'
  | 'total_discount_amounts'
  | 'total_excluding_tax'
  | 'total_taxes'
>;

/** The sums of an invoice that is not paid yet. */
export function totalsOf(
  lines: readonly Stripe.InvoiceLineItem[],
  balance: number,
  currency: string,
): Totals {
  const subtotal = sum(lines.map(({ amount }) => amount));
  const total = sum(lines.map(netOf));
  const { due } = applyBalance(total, balance, currency);
  return {
    amount_due: due,
    amount_remaining: due,
    starting_balance: balance,
    subtotal,
    subtotal_excluding_tax: subtotal,
    total,
    total_discount_amounts: totalDiscounts(lines),
    total_excluding_tax: total,
    total_taxes: [],
  };
}
