import { z } from 'zod';
import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest, notInStandIn } from '../api/stripe-error.ts';
import { refId } from '../objects/refs.ts';
import type { NoteKind } from '../store/store.ts';
import type { Period, Recurrence } from './periods.ts';

/** Since when an item's usage has not been billed; absent for the start of its period. */
const METERED_SINCE: NoteKind<number> = { name: 'metered_since', schema: z.number() };

export function recurrenceOf({ id, recurring }: Stripe.Price): Recurrence {
  if (recurring === null) throw new Error(`the price ${id} does not recur`);
  return recurring;
}

export function isMetered({ price }: Pick<Stripe.SubscriptionItem, 'price'>): boolean {
  return price.recurring?.usage_type === 'metered';
}

/** The price for an item that a parameter names: active and recurring, without a trial of its own. */
export function findRecurringPrice(context: Context, id: string, param: string): Stripe.Price {
  const price = context.find('price', id, param);
  if (!price.active)
    throw invalidRequest(`The price specified is inactive. This field only accepts active prices.`, {
      param,
    });
  if (price.recurring === null)
    throw invalidRequest(
      `The price specified is set to \`type=one_time\` but this field only accepts prices with \`type=recurring\`.`,
      { param },
    );
  return price;
}

/** The old name of a price, which items still carry. */
function makePlan(price: Stripe.Price): Stripe.Plan {
  const { interval, interval_count } = recurrenceOf(price);
  return {
    id: price.id,
    object: 'plan',
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: price.billing_scheme,
    created: price.created,
    currency: price.currency,
    interval,
    interval_count,
    livemode: false,
    metadata: price.metadata,
    meter: price.recurring?.meter ?? null,
    nickname: price.nickname,
    product: refId(price.product),
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: price.recurring?.trial_period_days ?? null,
    usage_type: price.recurring?.usage_type ?? 'licensed',
  };
}

interface NewItem {
  readonly subscription: string;
  readonly price: Stripe.Price;
  readonly quantity: number | undefined;
  readonly metadata: Record<string, string>;
  readonly period: Period;
  readonly created: number;
}

export function makeItem(context: Context, given: NewItem): Stripe.SubscriptionItem {
  return withPrice(
    {
      id: context.newId('subscription_item'),
      object: 'subscription_item',
      billing_thresholds: null,
      created: given.created,
      current_period_end: given.period.end,
      current_period_start: given.period.start,
      current_trial: null,
      discounts: [],
      metadata: given.metadata,
      plan: makePlan(given.price),
      price: given.price,
      subscription: given.subscription,
      tax_rates: [],
    },
    given.price,
    given.quantity,
  );
}

/** The same item at another price. What is metered has no quantity. */
export function withPrice(
  { quantity: _quantity, ...item }: Stripe.SubscriptionItem,
  price: Stripe.Price,
  quantity: number | undefined,
): Stripe.SubscriptionItem {
  const isLicensed = price.recurring?.usage_type !== 'metered';
  if (!isLicensed && quantity !== undefined)
    throw invalidRequest(
      'You cannot set a quantity of a metered price; its usage is reported by meter events.',
      { param: 'items[quantity]' },
    );
  return { ...item, plan: makePlan(price), price, ...(isLicensed ? { quantity: quantity ?? 1 } : {}) };
}

export function periodOf({ current_period_start, current_period_end }: Stripe.SubscriptionItem): Period {
  return { start: current_period_start, end: current_period_end };
}

export function withPeriod(item: Stripe.SubscriptionItem, { start, end }: Period): Stripe.SubscriptionItem {
  return { ...item, current_period_start: start, current_period_end: end };
}

/** What of an item's period is not billed yet: its usage up to `end`. */
export function unbilledPeriod(context: Context, item: Stripe.SubscriptionItem, end: number): Period {
  const since = context.store.getNote(METERED_SINCE, item.id) ?? item.current_period_start;
  return { start: Math.max(since, item.current_period_start), end };
}

/** Notes that an item's usage is billed up to a time. */
export function noteBilledUntil(context: Context, item: Stripe.SubscriptionItem, time: number): void {
  context.store.putNote(METERED_SINCE, item.id, time);
}

/** The end of the period that ends first. */
export function firstPeriodEnd({ items }: Stripe.Subscription): number {
  return Math.min(...items.data.map(({ current_period_end }) => current_period_end));
}

/** The end of the period that ends last. */
export function lastPeriodEnd({ items }: Stripe.Subscription): number {
  return Math.max(...items.data.map(({ current_period_end }) => current_period_end));
}

function describeRecurrence({ price }: Stripe.SubscriptionItem): string {
  const { interval, interval_count } = recurrenceOf(price);
  return `${interval_count} ${interval}`;
}

export function haveOneRecurrence(items: readonly Stripe.SubscriptionItem[]): boolean {
  return new Set(items.map(describeRecurrence)).size <= 1;
}

/** Throws for items that Stripe would refuse together, and for those that the stand-in does not do. */
export function checkItems(items: readonly Stripe.SubscriptionItem[], currency: string): void {
  if (items.length === 0)
    throw invalidRequest('A subscription must have at least one active plan.', { param: 'items' });
  if (items.length > 20) throw invalidRequest('A subscription can have up to 20 items.', { param: 'items' });
  if (new Set(items.map(({ price }) => price.id)).size < items.length)
    throw invalidRequest(
      'Cannot add multiple subscription items with the same plan. Specify the quantity instead.',
      { param: 'items' },
    );
  const other = items.find(({ price }) => price.currency !== currency);
  if (other !== undefined)
    throw invalidRequest(
      `The price specified only supports \`${other.price.currency}\`. This doesn't match the expected currency: \`${currency}\`.`,
      { param: 'items' },
    );
  if (items.some(({ price }) => price.unit_amount_decimal === null))
    throw notInStandIn('subscriptions to prices without an amount');
}
