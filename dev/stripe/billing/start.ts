import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest, notInStandIn } from '../api/stripe-error.ts';
import { changeCustomer, timeOf } from '../customers/customer-time.ts';
import { makeDraft, storeDraft } from '../invoices/drafts.ts';
import { listPendingItems } from '../invoices/invoice-items.ts';
import { licensedLine, trialLine } from '../invoices/lines.ts';
import { priceQuantity, prorate, sum } from '../invoices/money.ts';
import { redeem } from '../seams/coupons-and-meters.ts';
import type { DiscountRequest } from '../seams/coupons-and-meters.ts';
import { checkItems, isMetered, makeItem, periodOf, recurrenceOf } from '../subscriptions/items.ts';
import { addRecurrences, findPeriod } from '../subscriptions/periods.ts';
import type { Period } from '../subscriptions/periods.ts';
import { makeSubscription } from '../subscriptions/subscription.ts';
import type { NewSubscription } from '../subscriptions/subscription.ts';

const DAY_SECONDS = 24 * 60 * 60;
const LONGEST_TRIAL_DAYS = 730;

export interface ItemRequest {
  readonly price: Stripe.Price;
  readonly quantity: number | undefined;
  readonly metadata: Record<string, string>;
}

export interface StartRequest {
  readonly customer: Stripe.Customer;
  readonly items: readonly ItemRequest[];
  readonly anchor?: number | undefined;
  readonly trialEnd?: number | 'now' | undefined;
  readonly trialDays?: number | undefined;
  readonly missingPaymentMethod?: 'cancel' | 'create_invoice' | 'pause' | undefined;
  readonly prorationBehavior?: 'always_invoice' | 'create_prorations' | 'none' | undefined;
  readonly defaultPaymentMethod?: string | null | undefined;
  readonly saveDefaultPaymentMethod?: 'off' | 'on_subscription' | undefined;
  readonly description?: string | null | undefined;
  readonly discounts?: readonly DiscountRequest[] | undefined;
  readonly metadata?: Record<string, string> | undefined;
}

/** A subscription that has begun, and the draft of its first invoice, if there is anything to bill. */
export interface Begun {
  readonly subscription: Stripe.Subscription;
  readonly draft: Stripe.Invoice | undefined;
}

/** When the trial ends that a request asks for; null without one. */
export function findTrialEnd(
  now: number,
  { trialEnd, trialDays }: Pick<StartRequest, 'trialDays' | 'trialEnd'>,
): number | null {
  if (trialEnd !== undefined && trialDays !== undefined)
    throw invalidRequest('You may only specify one of these parameters: trial_end, trial_period_days.', {
      param: 'trial_end',
    });
  const end = trialDays === undefined ? trialEnd : now + trialDays * DAY_SECONDS;
  if (end === undefined || end === 'now' || trialDays === 0) return null;
  if (end <= now)
    throw invalidRequest('Invalid timestamp: must be an integer Unix timestamp in the future', {
      param: 'trial_end',
    });
  if (end > now + LONGEST_TRIAL_DAYS * DAY_SECONDS)
    throw invalidRequest('Invalid timestamp: can be no more than two years in the future', {
      param: 'trial_end',
    });
  return end;
}

/** A customer pays in one currency. */
function checkCurrency(customer: Stripe.Customer, currency: string): void {
  if (customer.currency == null || customer.currency === currency) return;
  throw invalidRequest(
    `You cannot combine currencies on a single customer. This customer has had a subscription, coupon, or invoice item with currency ${customer.currency}`,
  );
}

/** The first period of an item: the trial, the time up to the anchor that was asked for, or a whole one. */
function firstPeriod(price: Stripe.Price, now: number, anchor: number, isShort: boolean): Period {
  if (!isShort) return findPeriod(anchor, recurrenceOf(price), now);
  if (anchor > addRecurrences(now, recurrenceOf(price), 1))
    throw invalidRequest(
      `billing_cycle_anchor cannot be later than next natural billing date (${addRecurrences(now, recurrenceOf(price), 1)}) for plan`,
      { param: 'billing_cycle_anchor' },
    );
  return { start: now, end: anchor };
}

/** What the whole of a recurrence would cost, of which a short first period has its part. */
function shortAmount(item: Stripe.SubscriptionItem, anchor: number): number {
  const whole = findPeriod(anchor, recurrenceOf(item.price), item.current_period_start);
  const amount = priceQuantity(item.price, item.quantity ?? 1);
  return prorate(amount, item.current_period_end - item.current_period_start, whole.end - whole.start);
}

function firstLines(
  context: Context,
  subscription: Stripe.Subscription,
  { isShort, isFree }: { isShort: boolean; isFree: boolean },
): Stripe.InvoiceLineItem[] {
  const licensed = subscription.items.data.filter((item) => !isMetered(item));
  return licensed.flatMap((item) => {
    const parts = { subscription, item, period: periodOf(item) };
    if (subscription.trial_end !== null) return [trialLine(context, parts)];
    if (!isShort) return [licensedLine(context, parts)];
    return isFree ? [] : [licensedLine(context, parts, shortAmount(item, subscription.billing_cycle_anchor))];
  });
}

function prepare(context: Context, request: StartRequest): NewSubscription {
  const { customer, items, anchor: asked } = request;
  const now = timeOf(context, customer);
  const id = context.newId('subscription');
  const currency = items[0]?.price.currency ?? '';
  const trialEnd = findTrialEnd(now, request);
  if (asked !== undefined && trialEnd !== null) throw notInStandIn('a billing_cycle_anchor after a trial');
  if (asked !== undefined && asked <= now)
    throw invalidRequest('billing_cycle_anchor must be in the future', { param: 'billing_cycle_anchor' });
  const anchor = trialEnd ?? asked ?? now;
  const made = items.map(({ price, quantity, metadata }) => {
    const period =
      trialEnd === null
        ? firstPeriod(price, now, anchor, asked !== undefined)
        : { start: now, end: trialEnd };
    return makeItem(context, { subscription: id, price, quantity, metadata, period, created: now });
  });
  checkItems(made, currency);
  checkCurrency(customer, currency);
  const amount = sum(made.map(({ price, quantity = 0 }) => priceQuantity(price, quantity)));
  const place = { customer: customer.id, subscription: id, currency, amount, at: now };
  return {
    id,
    customer,
    items: made,
    currency,
    anchor,
    now,
    trialEnd,
    missingPaymentMethod: request.missingPaymentMethod ?? 'create_invoice',
    defaultPaymentMethod: request.defaultPaymentMethod ?? null,
    saveDefaultPaymentMethod: request.saveDefaultPaymentMethod ?? 'off',
    description: request.description ?? null,
    discounts: (request.discounts ?? []).map((discount) => redeem(context, discount, place).id),
    metadata: request.metadata ?? {},
  };
}

/**
 * Makes a subscription and the draft of its first invoice, and collects nothing. It is `incomplete` where money is due.
 * What is only metered has no first invoice.
 */
export function beginSubscription(context: Context, request: StartRequest): Begun {
  const given = prepare(context, request);
  const { customer, currency, trialEnd, now } = given;
  const status = trialEnd === null ? 'active' : 'trialing';
  const plain = makeSubscription(given, status, null);
  const isShort = request.anchor !== undefined;
  const lines = firstLines(context, plain, { isShort, isFree: request.prorationBehavior === 'none' });
  const items = listPendingItems(context, { customer: customer.id, currency });
  if (customer.currency == null) changeCustomer(context, customer.id, { currency });
  if (lines.length + items.length === 0)
    return { subscription: context.create('customer.subscription.created', plain), draft: undefined };
  const draft = makeDraft(context, {
    customer,
    subscription: plain,
    reason: 'subscription_create',
    currency,
    lines,
    items,
    discounts: given.discounts,
    period: { start: now, end: now },
    autoAdvance: false,
  });
  const subscription = context.create(
    'customer.subscription.created',
    makeSubscription(given, draft.amount_due > 0 && trialEnd === null ? 'incomplete' : status, draft.id),
  );
  return { subscription, draft: storeDraft(context, draft, items) };
}
