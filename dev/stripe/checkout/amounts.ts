import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { listInside } from '../api/page.ts';
import { simulate } from '../billing/preview.ts';
import { beginSubscription } from '../billing/start.ts';
import { makeCustomer } from '../customers/new-customer.ts';
import { productName } from '../invoices/lines.ts';
import { sum } from '../invoices/money.ts';
import { randomLetters } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { toStartRequest } from './order.ts';
import type { Order } from './order.ts';

export type Amounts = Pick<
  Stripe.Checkout.Session,
  'amount_subtotal' | 'amount_total' | 'currency' | 'line_items' | 'total_details'
>;

/** The first invoice that an order leads to, if it leads to one. For who has no customer yet, of a new one. */
function simulateInvoice(
  context: Context,
  order: Order,
  customer: string | null,
): Stripe.Invoice | undefined {
  return simulate(context, () => {
    const known = customer === null ? makeCustomer(context, null) : context.find('customer', customer);
    if (customer === null) context.store.put(known);
    return beginSubscription(context, toStartRequest(context, order, known, null)).draft;
  });
}

function makeLineItem(
  context: Context,
  { price: id, quantity, metadata }: Order['items'][number],
  line: Stripe.InvoiceLineItem | undefined,
): Stripe.LineItem {
  const price = context.find('price', id);
  const isMetered = price.recurring?.usage_type === 'metered';
  const off = sum((line?.discount_amounts ?? []).map(({ amount }) => amount));
  return {
    id: `li_${randomLetters(24)}`,
    object: 'item',
    adjustable_quantity: null,
    amount_discount: off,
    amount_subtotal: line?.amount ?? 0,
    amount_tax: 0,
    amount_total: (line?.amount ?? 0) - off,
    currency: price.currency,
    description: productName(context, price),
    metadata,
    price,
    quantity: isMetered ? null : (quantity ?? 1),
  };
}

/** What is to be paid when an order is completed now: metered prices and trials cost nothing yet. */
export function findAmounts(
  context: Context,
  session: string,
  order: Order,
  customer: string | null,
): Amounts {
  const lines = simulateInvoice(context, order, customer)?.lines.data ?? [];
  const items = order.items.map((item) => {
    const line = lines.find(({ pricing }) => refId(pricing?.price_details?.price) === item.price);
    return makeLineItem(context, item, line);
  });
  const discount = sum(items.map(({ amount_discount }) => amount_discount));
  const subtotal = sum(items.map(({ amount_subtotal }) => amount_subtotal));
  return {
    amount_subtotal: subtotal,
    amount_total: subtotal - discount,
    currency: items[0]?.currency ?? null,
    line_items: listInside(`/v1/checkout/sessions/${session}/line_items`, items),
    total_details: { amount_discount: discount, amount_shipping: 0, amount_tax: 0 },
  };
}
