import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { ownerOf } from '../customers/customer-time.ts';
import { makeDraft, storeDraft } from '../invoices/drafts.ts';
import type { NewInvoice } from '../invoices/drafts.ts';
import { listPendingItems } from '../invoices/invoice-items.ts';
import { licensedLine, meteredLine } from '../invoices/lines.ts';
import { findSubscriptionMethod } from '../invoices/pay.ts';
import { refId } from '../objects/refs.ts';
import {
  firstPeriodEnd,
  isMetered,
  periodOf,
  recurrenceOf,
  unbilledPeriod,
  withPeriod,
} from '../subscriptions/items.ts';
import { findPeriod } from '../subscriptions/periods.ts';
import { changeSubscription, endSubscription, stopCollection } from '../subscriptions/status.ts';
import { listOfItems } from '../subscriptions/subscription.ts';

interface Renewal {
  readonly items: Stripe.SubscriptionItem[];
  readonly invoice: NewInvoice;
}

function renewItem(
  subscription: Stripe.Subscription,
  item: Stripe.SubscriptionItem,
  at: number,
): Stripe.SubscriptionItem {
  if (item.current_period_end > at) return item;
  const recurrence = recurrenceOf(item.price);
  return withPeriod(item, findPeriod(subscription.billing_cycle_anchor, recurrence, item.current_period_end));
}

/**
 * What the renewal at a time brings: the items whose period has ended begin their next one, and their invoice bills that in
 * advance, and what was used in the one that is over. A trial has nothing to bill afterwards.
 */
export function planRenewal(context: Context, subscription: Stripe.Subscription, at: number): Renewal {
  const customer = ownerOf(context, subscription);
  const ending = subscription.items.data.filter(({ current_period_end }) => current_period_end <= at);
  const items = subscription.items.data.map((item) => renewItem(subscription, item, at));
  const renewed = items.filter((item) => ending.some(({ id }) => id === item.id));
  const used = ending
    .filter((item) => isMetered(item) && subscription.status !== 'trialing')
    .map((item) => {
      const period = unbilledPeriod(context, item, item.current_period_end);
      return meteredLine(context, { subscription, item, period });
    });
  const next = renewed
    .filter((item) => !isMetered(item))
    .map((item) => licensedLine(context, { subscription, item, period: periodOf(item) }));
  const { currency, id, discounts } = subscription;
  return {
    items,
    invoice: {
      customer,
      subscription,
      reason: 'subscription_cycle',
      currency,
      lines: [...used, ...next],
      items: listPendingItems(context, {
        customer: customer.id,
        currency,
        subscription: id,
        withLoose: true,
      }),
      discounts: discounts.map((discount) => refId(discount)),
      period: { start: Math.min(...ending.map(({ current_period_start }) => current_period_start)), end: at },
      // Nobody collects for a subscription that is unpaid: its invoices stay drafts.
      autoAdvance: subscription.status !== 'unpaid',
      at,
    },
  };
}

/** A period is over: the next one begins, and the draft of its invoice waits an hour. */
export function renew(context: Context, before: Stripe.Subscription): void {
  const at = firstPeriodEnd(before);
  const { items, invoice } = planRenewal(context, before, at);
  const pending = invoice.items ?? [];
  const hasContent = invoice.lines.length + pending.length > 0;
  // The draft is made when it is made; only previews are of another time.
  const { at: _at, ...made } = invoice;
  const draft = hasContent ? storeDraft(context, makeDraft(context, made), pending) : undefined;
  changeSubscription(context, before.id, {
    items: listOfItems(before.id, items),
    latest_invoice: draft?.id ?? before.latest_invoice,
    status: before.status === 'trialing' ? 'active' : before.status,
  });
}

function pause(context: Context, before: Stripe.Subscription, now: number): void {
  const paused: Stripe.Subscription = {
    ...before,
    status: 'paused',
    status_details: {
      paused: {
        subscription: { type: 'trial_end_without_payment_method' },
        transitioned_at: now,
        type: 'subscription',
      },
    },
  };
  context.change('customer.subscription.updated', before, paused);
  context.emit('customer.subscription.paused', paused);
}

/** A trial is over: it goes on and is paid, or what its settings say where there is no card. */
export function endTrial(context: Context, before: Stripe.Subscription): void {
  const customer = ownerOf(context, before);
  const now = context.now(customer.test_clock);
  const { missing_payment_method: then } = before.trial_settings?.end_behavior ?? {};
  const hasMethod = findSubscriptionMethod(context, before) !== undefined;
  if (hasMethod || then === 'create_invoice' || then === undefined) {
    renew(context, before);
  } else if (then === 'pause') {
    pause(context, before, now);
  } else {
    stopCollection(context, before.id);
    endSubscription(context, before, { at: now, reason: null });
  }
}
