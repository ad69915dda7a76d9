import Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { randomLetters } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { usageOf } from '../seams/coupons-and-meters.ts';
import type { Period } from '../subscriptions/periods.ts';
import { formatMoney, priceQuantity } from './money.ts';

/** What a line says beyond its invoice, its id and its discounts. */
interface LineParts {
  readonly amount: number;
  readonly currency: string;
  readonly description: string | null;
  readonly discountable: boolean;
  readonly metadata: Record<string, string>;
  readonly parent: Stripe.InvoiceLineItem.Parent;
  readonly period: Period;
  readonly pricing: Stripe.InvoiceLineItem.Pricing | null;
  readonly quantity: Stripe.Decimal;
  readonly subscription: string | null;
}

function makeLine(given: LineParts): Stripe.InvoiceLineItem {
  const { period, quantity, ...rest } = given;
  return {
    id: `il_${randomLetters(24)}`,
    object: 'line_item',
    ...rest,
    discount_amounts: [],
    discounts: [],
    invoice: null,
    livemode: false,
    period: { start: period.start, end: period.end },
    pretax_credit_amounts: [],
    quantity: quantity.round('half-up', { mode: 'decimal-places', value: 0 }).toNumber(),
    quantity_decimal: quantity,
    subtotal: given.amount,
    taxes: [],
  };
}

export function productName(context: Context, price: Stripe.Price): string {
  return context.store.get('product', refId(price.product))?.name ?? 'Product';
}

/** `at €49.00 / month`. */
export function describePrice({ currency, recurring, unit_amount_decimal }: Stripe.Price): string {
  const money = formatMoney(unit_amount_decimal ?? 0, currency);
  if (recurring === null) return money;
  const { interval, interval_count } = recurring;
  return `${money} / ${interval_count === 1 ? interval : `every ${interval_count} ${interval}s`}`;
}

export function pricingOf(price: Stripe.Price): Stripe.InvoiceLineItem.Pricing {
  return {
    price_details: { price: price.id, product: refId(price.product) },
    type: 'price_details',
    unit_amount_decimal: price.unit_amount_decimal,
  };
}

interface ItemLine {
  readonly subscription: Stripe.Subscription;
  readonly item: Stripe.SubscriptionItem;
  readonly period: Period;
}

function makeItemLine(
  { subscription, item, period }: ItemLine,
  amount: number,
  quantity: Stripe.Decimal,
  description: string,
): Stripe.InvoiceLineItem {
  return makeLine({
    amount,
    currency: subscription.currency,
    description,
    discountable: true,
    metadata: subscription.metadata,
    parent: {
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: null,
        proration: false,
        proration_details: { credited_items: null },
        subscription: subscription.id,
        subscription_item: item.id,
      },
      type: 'subscription_item_details',
    },
    period,
    pricing: pricingOf(item.price),
    quantity,
    subscription: subscription.id,
  });
}

/** What a licensed item costs for a period that begins; `amount` where it is a part of one. */
export function licensedLine(context: Context, parts: ItemLine, amount?: number): Stripe.InvoiceLineItem {
  const { item } = parts;
  const quantity = item.quantity ?? 1;
  const description = `${quantity} × ${productName(context, item.price)} (at ${describePrice(item.price)})`;
  return makeItemLine(
    parts,
    amount ?? priceQuantity(item.price, quantity),
    Stripe.Decimal.from(quantity),
    description,
  );
}

export function trialLine(context: Context, parts: ItemLine): Stripe.InvoiceLineItem {
  const quantity = Stripe.Decimal.from(parts.item.quantity ?? 1);
  return makeItemLine(parts, 0, quantity, `Trial period for ${productName(context, parts.item.price)}`);
}

/** What has been used in a period that is over. */
export function meteredLine(context: Context, parts: ItemLine): Stripe.InvoiceLineItem {
  const { item, period, subscription } = parts;
  const customer = refId(subscription.customer);
  const usage = usageOf(context, item.price.recurring?.meter ?? '', customer, period.start, period.end);
  const description = `${usage.toString()} × ${productName(context, item.price)} (at ${describePrice(item.price)})`;
  return makeItemLine(parts, priceQuantity(item.price, usage), usage, description);
}

function parentOfInvoiceItem(item: Stripe.InvoiceItem): Stripe.InvoiceLineItem.Parent {
  const credited = item.proration_details?.credited_items?.invoice_line_item_details ?? null;
  const proration_details = { credited_items: credited };
  const of = item.parent?.subscription_details;
  if (of?.subscription_item === undefined)
    return {
      invoice_item_details: {
        invoice_item: item.id,
        proration: item.proration,
        proration_details,
        subscription: of?.subscription ?? null,
      },
      subscription_item_details: null,
      type: 'invoice_item_details',
    };
  return {
    invoice_item_details: null,
    subscription_item_details: {
      invoice_item: item.id,
      proration: item.proration,
      proration_details,
      subscription: of.subscription,
      subscription_item: of.subscription_item,
    },
    type: 'subscription_item_details',
  };
}

/** The line that a pending invoice item becomes. */
export function lineOfInvoiceItem(item: Stripe.InvoiceItem): Stripe.InvoiceLineItem {
  const pricing = item.pricing === null ? null : { ...item.pricing };
  return makeLine({
    amount: item.amount,
    currency: item.currency,
    description: item.description,
    discountable: item.discountable,
    metadata: item.metadata ?? {},
    parent: parentOfInvoiceItem(item),
    period: item.period,
    pricing,
    quantity: item.quantity_decimal,
    subscription: item.parent?.subscription_details?.subscription ?? null,
  });
}

/** The item of a subscription that a line bills, in its newest state, with the period's usage as it is now. */
export function refreshMeteredLine(context: Context, line: Stripe.InvoiceLineItem): Stripe.InvoiceLineItem {
  const details = line.parent?.subscription_item_details;
  const price = context.store.get('price', refId(line.pricing?.price_details?.price) ?? '');
  const meter = price?.recurring?.meter;
  const subscription = context.store.get('subscription', details?.subscription ?? '');
  if (meter == null || price === undefined || subscription === undefined || details?.invoice_item !== null)
    return line;
  const usage = usageOf(context, meter, refId(subscription.customer), line.period.start, line.period.end);
  const amount = priceQuantity(price, usage);
  return {
    ...line,
    amount,
    description: `${usage.toString()} × ${productName(context, price)} (at ${describePrice(price)})`,
    quantity: usage.round('half-up', { mode: 'decimal-places', value: 0 }).toNumber(),
    quantity_decimal: usage,
    subtotal: amount,
  };
}
