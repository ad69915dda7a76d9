import Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { timeOf } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import type { Period } from '../subscriptions/periods.ts';
import { pricingOf } from './lines.ts';

export interface NewInvoiceItem {
  readonly customer: Stripe.Customer;
  readonly amount: number;
  readonly currency: string;
  readonly description: string | null;
  readonly metadata?: Record<string, string>;
  readonly period?: Period | undefined;
  readonly price?: Stripe.Price | undefined;
  readonly quantity?: Stripe.Decimal | number | undefined;
  readonly discountable?: boolean | undefined;
  readonly subscription?: string | undefined;
  readonly subscriptionItem?: string | undefined;
  readonly invoice?: string | undefined;
  readonly proration?: Stripe.InvoiceItem.ProrationDetails | undefined;
}

function parentOf({ subscription, subscriptionItem }: NewInvoiceItem): Stripe.InvoiceItem.Parent | null {
  if (subscription === undefined) return null;
  return {
    subscription_details: {
      subscription,
      ...(subscriptionItem === undefined ? {} : { subscription_item: subscriptionItem }),
    },
    type: 'subscription_details',
  };
}

function pricingFor({ price, amount }: NewInvoiceItem): Stripe.InvoiceItem.Pricing {
  if (price !== undefined) return pricingOf(price);
  return { type: 'price_details', unit_amount_decimal: Stripe.Decimal.from(amount) };
}

/** An amount that waits for the customer's, or the subscription's, next invoice. */
export function createInvoiceItem(context: Context, given: NewInvoiceItem): Stripe.InvoiceItem {
  const now = timeOf(context, given.customer);
  const exact = Stripe.Decimal.from(String(given.quantity ?? 1));
  return context.create('invoiceitem.created', {
    id: context.newId('invoiceitem'),
    object: 'invoiceitem',
    amount: given.amount,
    currency: given.currency,
    customer: given.customer.id,
    customer_account: null,
    date: now,
    description: given.description,
    discountable: given.discountable ?? true,
    discounts: [],
    invoice: given.invoice ?? null,
    livemode: false,
    metadata: given.metadata ?? {},
    net_amount: given.amount,
    parent: parentOf(given),
    period: given.period ?? { start: now, end: now },
    pricing: pricingFor(given),
    proration: given.proration !== undefined,
    ...(given.proration === undefined ? {} : { proration_details: given.proration }),
    quantity: exact.round('half-up', { mode: 'decimal-places', value: 0 }).toNumber(),
    quantity_decimal: exact,
    tax_rates: [],
    test_clock: refId(given.customer.test_clock),
  });
}

interface Waiting {
  readonly customer: string;
  readonly currency: string;
  /** Whose items; those of no subscription only without one, or where they are `withLoose`. */
  readonly subscription?: string | undefined;
  readonly withLoose?: boolean;
}

/** What waits for an invoice, the oldest first. */
export function listPendingItems(
  context: Context,
  { customer, currency, subscription, withLoose = subscription === undefined }: Waiting,
): Stripe.InvoiceItem[] {
  const pending = context.store.list('invoiceitem', (item) => {
    const of = item.parent?.subscription_details?.subscription;
    const isWanted = of === undefined ? withLoose : of === subscription;
    return isWanted && item.invoice === null && item.customer === customer && item.currency === currency;
  });
  return pending.reverse();
}

export function deleteInvoiceItem(context: Context, item: Stripe.InvoiceItem): void {
  const invoice = refId(item.invoice);
  if (invoice !== null && context.store.get('invoice', invoice)?.status !== 'draft')
    throw invalidRequest('You can only delete invoice items of an invoice that is a draft.');
  context.store.remove('invoiceitem', item.id);
  context.emit('invoiceitem.deleted', item);
}
