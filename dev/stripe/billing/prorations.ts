import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { refId } from '../objects/refs.ts';
import { createInvoiceItem } from '../invoices/invoice-items.ts';
import { licensedLine, meteredLine, productName } from '../invoices/lines.ts';
import { prorate } from '../invoices/money.ts';
import { discountLines, netAmount } from '../invoices/totals.ts';
import { termsOf } from '../seams/coupons-and-meters.ts';
import {
  isMetered,
  noteBilledUntil,
  periodOf,
  recurrenceOf,
  unbilledPeriod,
} from '../subscriptions/items.ts';
import { findPeriod } from '../subscriptions/periods.ts';
import type { Period } from '../subscriptions/periods.ts';

/** Something that has been, or will be, paid for a time in which it is then not used. */
interface Debit {
  /** With its discounts. */
  readonly net: number;
  readonly period: Period;
  readonly price: Stripe.Price;
  readonly quantity: Stripe.Decimal | number;
  readonly credits: Stripe.InvoiceItem.ProrationDetails.CreditedItems;
}

/** The lines and invoice items whose unused time has been credited before. */
function findCredited(context: Context, subscription: string): Set<string> {
  const credited = new Set<string>();
  for (const item of context.store.list('invoiceitem')) {
    if (item.parent?.subscription_details?.subscription !== subscription) continue;
    const { credited_items: of } = item.proration_details ?? {};
    if (of?.invoice_item !== undefined) credited.add(of.invoice_item);
    for (const line of of?.invoice_line_item_details?.invoice_line_items ?? []) credited.add(line);
  }
  return credited;
}

function findPrice(context: Context, pricing: Stripe.InvoiceItem.Pricing | null): Stripe.Price | undefined {
  return context.store.get('price', refId(pricing?.price_details?.price) ?? '');
}

function debitOfLine(
  context: Context,
  invoice: Stripe.Invoice,
  line: Stripe.InvoiceLineItem,
): Debit | undefined {
  const price = findPrice(context, line.pricing);
  if (price === undefined || isMetered({ price })) return undefined;
  return {
    net: netAmount(line),
    period: line.period,
    price,
    quantity: line.quantity ?? 1,
    credits: {
      invoice_line_item_details: { invoice: invoice.id, invoice_line_items: [line.id] },
      type: 'invoice_line_items',
    },
  };
}

function debitOfItem(context: Context, item: Stripe.InvoiceItem): Debit | undefined {
  const price = findPrice(context, item.pricing);
  if (price === undefined || isMetered({ price })) return undefined;
  const { amount: net, period, quantity, id } = item;
  return { net, period, price, quantity, credits: { invoice_item: id, type: 'invoice_item' } };
}

/**
 * What an item was charged for the time after `at`, as it was charged: lines of its invoices, and prorations that wait for one. A
 * proration is told by its invoice item, on whatever invoice it is.
 */
function findDebits(context: Context, subscription: string, item: string, at: number): Debit[] {
  const credited = findCredited(context, subscription);
  const isUnused = ({ amount, period }: { amount: number; period: Period }): boolean =>
    amount > 0 && period.end > at;
  const items = context.store.list('invoiceitem', (one) => {
    const isOfItem = one.parent?.subscription_details?.subscription_item === item;
    return isOfItem && isUnused(one) && !credited.has(one.id);
  });
  const invoices = context.store.list('invoice', ({ parent, status }) => {
    return status !== 'void' && refId(parent?.subscription_details?.subscription) === subscription;
  });
  const lines = invoices.flatMap((invoice) =>
    invoice.lines.data
      .filter((line) => {
        const details = line.parent?.subscription_item_details;
        const isOfItem = details?.subscription_item === item && details.invoice_item === null;
        return isOfItem && isUnused(line) && !credited.has(line.id);
      })
      .flatMap((line) => debitOfLine(context, invoice, line) ?? []),
  );
  return [...lines, ...items.flatMap((one) => debitOfItem(context, one) ?? [])];
}

/** `3 × Team`, or `Team` for one. */
function nameOf(context: Context, price: Stripe.Price, quantity: Stripe.Decimal | number): string {
  const count = quantity.toString();
  return count === '1' ? productName(context, price) : `${count} × ${productName(context, price)}`;
}

function describeDate(time: number): string {
  return new Date(time * 1000).toLocaleDateString('en-GB', {
    day: '2-digit',
    month: 'short',
    year: 'numeric',
    timeZone: 'UTC',
  });
}

interface Proration {
  readonly customer: Stripe.Customer;
  readonly subscription: Stripe.Subscription;
  readonly item: Stripe.SubscriptionItem;
  /** From when on it counts. */
  readonly at: number;
}

/** Credits the unused time of what an item was charged, each charge by itself. */
export function creditUnused(context: Context, { customer, subscription, item, at }: Proration): void {
  for (const debit of findDebits(context, subscription.id, item.id, at)) {
    const { start, end } = debit.period;
    const from = Math.max(at, start);
    createInvoiceItem(context, {
      customer,
      amount: -prorate(debit.net, end - from, end - start),
      currency: subscription.currency,
      description: `Unused time on ${nameOf(context, debit.price, debit.quantity)} after ${describeDate(from)}`,
      metadata: subscription.metadata,
      period: { start: from, end },
      price: debit.price,
      quantity: debit.quantity,
      discountable: false,
      subscription: subscription.id,
      subscriptionItem: item.id,
      proration: { credited_items: debit.credits, discount_amounts: [] },
    });
  }
}

/** What each licensed item costs for a whole period, with the discounts that last. */
function netPrices(context: Context, subscription: Stripe.Subscription, at: number): Map<string, number> {
  const items = subscription.items.data.filter((item) => !isMetered(item));
  const lines = items.map((item) => licensedLine(context, { subscription, item, period: periodOf(item) }));
  const terms = subscription.discounts.flatMap((discount) => {
    const found = termsOf(context, refId(discount), at);
    return found === undefined || found.isOnce ? [] : [found];
  });
  const nets = discountLines(lines, terms).map(netAmount);
  return new Map(items.map((item, index) => [item.id, nets[index] ?? 0]));
}

/** Charges the rest of the period of an item that is new or has another price or quantity. `subscription` is as it is to be. */
export function chargeRemaining(context: Context, { customer, subscription, item, at }: Proration): void {
  const { end } = periodOf(item);
  const whole = findPeriod(subscription.billing_cycle_anchor, recurrenceOf(item.price), end - 1);
  const from = Math.max(at, item.current_period_start);
  const full = netPrices(context, subscription, at).get(item.id) ?? 0;
  createInvoiceItem(context, {
    customer,
    amount: prorate(full, end - from, whole.end - whole.start),
    currency: subscription.currency,
    description: `Remaining time on ${nameOf(context, item.price, item.quantity ?? 1)} after ${describeDate(from)}`,
    metadata: subscription.metadata,
    period: { start: from, end },
    price: item.price,
    quantity: item.quantity ?? 1,
    discountable: false,
    subscription: subscription.id,
    subscriptionItem: item.id,
    proration: { credited_items: null, discount_amounts: [] },
  });
}

/** Bills what was used at a price that goes: the rest of the period counts at the new one. */
export function chargeUsage(context: Context, { customer, subscription, item, at }: Proration): void {
  const period = unbilledPeriod(context, item, at);
  const line = meteredLine(context, { subscription, item, period });
  noteBilledUntil(context, item, at);
  if (line.quantity_decimal?.isZero() === true) return;
  createInvoiceItem(context, {
    customer,
    amount: line.amount,
    currency: subscription.currency,
    description: line.description,
    metadata: subscription.metadata,
    period,
    price: item.price,
    quantity: line.quantity_decimal ?? 0,
    subscription: subscription.id,
    subscriptionItem: item.id,
  });
}
