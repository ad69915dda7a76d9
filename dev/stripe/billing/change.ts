import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest, notInStandIn } from '../api/stripe-error.ts';
import { ownerOf, timeOf } from '../customers/customer-time.ts';
import { createDraft } from '../invoices/drafts.ts';
import { listPendingItems } from '../invoices/invoice-items.ts';
import { licensedLine, meteredLine } from '../invoices/lines.ts';
import { refId } from '../objects/refs.ts';
import { endDiscount, redeem } from '../seams/coupons-and-meters.ts';
import type { DiscountRequest } from '../seams/coupons-and-meters.ts';
import {
  checkItems,
  firstPeriodEnd,
  haveOneRecurrence,
  isMetered,
  lastPeriodEnd,
  periodOf,
  recurrenceOf,
  unbilledPeriod,
  withPeriod,
} from '../subscriptions/items.ts';
import { findPeriod } from '../subscriptions/periods.ts';
import { listOfItems } from '../subscriptions/subscription.ts';
import { scheduleCancellation } from './cancellation.ts';
import type { CancellationRequest } from './cancellation.ts';
import { changeItems } from './item-changes.ts';
import type { ItemChange } from './item-changes.ts';
import { chargeRemaining, chargeUsage, creditUnused } from './prorations.ts';
import { findTrialEnd } from './start.ts';
import type { Begun } from './start.ts';

export type ProrationBehavior = 'always_invoice' | 'create_prorations' | 'none';

export interface ChangeRequest extends CancellationRequest {
  readonly items?: readonly ItemChange[] | undefined;
  readonly prorationBehavior?: ProrationBehavior | undefined;
  readonly prorationDate?: number | undefined;
  readonly anchor?: 'now' | 'unchanged' | undefined;
  readonly trialEnd?: number | 'now' | undefined;
  /** Null takes all discounts away. */
  readonly discounts?: readonly DiscountRequest[] | null | undefined;
  /** Fields that are simply replaced. */
  readonly fields?: Partial<
    Pick<
      Stripe.Subscription,
      'default_payment_method' | 'description' | 'metadata' | 'payment_settings' | 'trial_settings'
    >
  >;
}

/** What a change means for the time that is billed. */
interface Plan {
  readonly customer: Stripe.Customer;
  readonly before: Stripe.Subscription;
  readonly after: Stripe.Subscription;
  readonly now: number;
  /** From when on prorations count. */
  readonly at: number;
  /** True where a new period begins now, and is billed now. */
  readonly resets: boolean;
  readonly behavior: ProrationBehavior;
}

function changeDiscounts(
  context: Context,
  subscription: Stripe.Subscription,
  wanted: ChangeRequest['discounts'],
  at: number,
): string[] {
  const before = subscription.discounts.map((discount) => refId(discount));
  if (wanted === undefined || wanted?.length === 0) return before;
  const place = {
    customer: refId(subscription.customer),
    subscription: subscription.id,
    currency: subscription.currency,
    at,
  };
  const after = (wanted ?? []).map((one) => redeem(context, one, place).id);
  for (const id of before) if (!after.includes(id)) endDiscount(context, id);
  return after;
}

function checkProrationDate({ items, id }: Stripe.Subscription, at: number): void {
  const starts = items.data.map(({ current_period_start }) => current_period_start);
  const ends = items.data.map(({ current_period_end }) => current_period_end);
  if (at >= Math.min(...starts) && at <= Math.max(...ends)) return;
  throw invalidRequest(
    `Cannot specify \`proration_date\` outside of the current billing period of subscription ${id}.`,
    { param: 'proration_date' },
  );
}

function startsAnew(
  before: Stripe.Subscription,
  items: Stripe.SubscriptionItem[],
  request: ChangeRequest,
): boolean {
  if (request.anchor === 'now') return true;
  if (before.status === 'trialing') return request.trialEnd === 'now';
  if (request.items === undefined) return false;
  const old = before.items.data;
  if (!haveOneRecurrence(old) || !haveOneRecurrence(items)) {
    throw notInStandIn('changes of the items of a subscription whose items recur differently');
  }
  return !haveOneRecurrence([...old.slice(0, 1), ...items.slice(0, 1)]);
}

/** The period, anchor and state that a change leads to. */
function changeTime(
  before: Stripe.Subscription,
  items: Stripe.SubscriptionItem[],
  { resets, now, trialEnd }: { resets: boolean; now: number; trialEnd: number | null },
): Pick<Stripe.Subscription, 'billing_cycle_anchor' | 'items' | 'status' | 'trial_end'> {
  const { billing_cycle_anchor, status, trial_end } = before;
  if (resets) {
    const restarted = items.map((item) => withPeriod(item, findPeriod(now, recurrenceOf(item.price), now)));
    return {
      billing_cycle_anchor: now,
      items: listOfItems(before.id, restarted),
      status: status === 'trialing' ? 'active' : status,
      trial_end: status === 'trialing' ? now : trial_end,
    };
  }
  if (trialEnd === null)
    return { billing_cycle_anchor, items: listOfItems(before.id, items), status, trial_end };
  const moved = items.map((item) => withPeriod(item, { start: item.current_period_start, end: trialEnd }));
  return {
    billing_cycle_anchor: trialEnd,
    items: listOfItems(before.id, moved),
    status,
    trial_end: trialEnd,
  };
}

function planChange(context: Context, before: Stripe.Subscription, request: ChangeRequest): Plan {
  const customer = ownerOf(context, before);
  const now = timeOf(context, customer);
  const { prorationDate, prorationBehavior = 'create_prorations', trialEnd: askedEnd } = request;
  if (prorationDate !== undefined) checkProrationDate(before, prorationDate);
  if (askedEnd !== undefined && askedEnd !== 'now' && before.status !== 'trialing')
    throw notInStandIn('a trial for a subscription that has had its first period', 'trial_end');
  const items = changeItems(context, before, request.items ?? [], now);
  checkItems(items, before.currency);
  const resets = startsAnew(before, items, request);
  const trialEnd = resets ? null : findTrialEnd(now, { trialEnd: askedEnd });
  const timed = {
    ...before,
    ...request.fields,
    ...changeTime(before, items, { resets, now, trialEnd }),
    discounts: changeDiscounts(context, before, request.discounts, now),
  };
  const after = { ...timed, ...scheduleCancellation(timed, request, now) };
  const at = Math.min(prorationDate ?? now, firstPeriodEnd(before));
  return { customer, before, after, now, at, resets, behavior: prorationBehavior };
}

function isSame(one: Stripe.SubscriptionItem, other: Stripe.SubscriptionItem | undefined): boolean {
  return one.price.id === other?.price.id && one.quantity === other.quantity;
}

/** The prorations of a change, as invoice items that wait. Usage at a price that goes is billed in any case. */
function prorateItems(context: Context, plan: Plan): void {
  const { customer, before, after, at, now, resets, behavior } = plan;
  if (before.status === 'trialing') return;
  const find = (items: Stripe.SubscriptionItem[], id: string): Stripe.SubscriptionItem | undefined =>
    items.find((item) => item.id === id);
  for (const item of before.items.data) {
    const next = find(after.items.data, item.id);
    if (isMetered(item)) {
      const goes = next?.price.id !== item.price.id;
      if (goes && !resets) chargeUsage(context, { customer, subscription: after, item, at: now });
    } else if (behavior !== 'none' && (resets || !isSame(item, next))) {
      creditUnused(context, { customer, subscription: before, item, at });
    }
  }
  if (behavior === 'none' || resets) return;
  for (const item of after.items.data)
    if (!isMetered(item) && !isSame(item, find(before.items.data, item.id)))
      chargeRemaining(context, { customer, subscription: after, item, at });
}

/** What a period that begins now costs, and what was used in the one that it cuts short. */
function restartLines(context: Context, { before, after, now }: Plan): Stripe.InvoiceLineItem[] {
  const used = before.items.data
    .filter((item) => isMetered(item) && before.status !== 'trialing')
    .map((item) =>
      meteredLine(context, { subscription: before, item, period: unbilledPeriod(context, item, now) }),
    )
    .filter(({ amount }) => amount > 0);
  const next = after.items.data
    .filter((item) => !isMetered(item))
    .map((item) => licensedLine(context, { subscription: after, item, period: periodOf(item) }));
  return [...used, ...next];
}

/** The invoice that a change leads to at once, if it does. */
function draftChange(
  context: Context,
  plan: Plan,
  prorationDate: number | undefined,
): Stripe.Invoice | undefined {
  const { customer, before, after, now, resets, behavior } = plan;
  const { currency, id } = after;
  const items = listPendingItems(context, { customer: customer.id, currency, subscription: id });
  const isImmediate = resets || (behavior === 'always_invoice' && items.length > 0);
  if (!isImmediate) return undefined;
  const lines = resets ? restartLines(context, plan) : [];
  if (lines.length + items.length === 0) return undefined;
  return createDraft(context, {
    customer,
    subscription: after,
    reason: 'subscription_update',
    currency,
    lines,
    items,
    discounts: after.discounts.map((discount) => refId(discount)),
    period: { start: Math.min(now, firstPeriodEnd(before)), end: now },
    autoAdvance: true,
    prorationDate,
  });
}

function checkChangeable({ status }: Stripe.Subscription, request: ChangeRequest): void {
  const touchesBilling =
    request.items !== undefined || request.anchor === 'now' || request.trialEnd !== undefined;
  if (status === 'canceled' || status === 'incomplete_expired')
    throw invalidRequest('A canceled subscription can only update its cancellation_details and metadata.', {
      code: 'invalid_canceled_subscription_fields',
    });
  if (touchesBilling && (status === 'incomplete' || status === 'paused'))
    throw invalidRequest(`This subscription cannot be updated while its status is ${status}.`);
}

/**
 * Changes a subscription, and collects nothing. Returns the draft of the invoice that is due at once: where a new period begins
 * (another interval, `billing_cycle_anchor`, the end of a trial), or where `always_invoice` asks for it.
 */
export function changeNow(context: Context, before: Stripe.Subscription, request: ChangeRequest): Begun {
  checkChangeable(before, request);
  const plan = planChange(context, before, request);
  prorateItems(context, plan);
  const draft = draftChange(context, plan, request.prorationDate);
  const latest = draft?.id ?? before.latest_invoice;
  const subscription = context.change('customer.subscription.updated', before, {
    ...plan.after,
    latest_invoice: latest,
    ...(plan.after.cancel_at_period_end ? { cancel_at: lastPeriodEnd(plan.after) } : {}),
  });
  return { subscription, draft };
}
