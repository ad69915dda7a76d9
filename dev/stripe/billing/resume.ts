import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { ownerOf, timeOf } from '../customers/customer-time.ts';
import { createDraft } from '../invoices/drafts.ts';
import { licensedLine } from '../invoices/lines.ts';
import { refId } from '../objects/refs.ts';
import { isMetered, periodOf, recurrenceOf, withPeriod } from '../subscriptions/items.ts';
import { findPeriod } from '../subscriptions/periods.ts';
import { changeSubscription, settleSubscription } from '../subscriptions/status.ts';
import { listOfItems } from '../subscriptions/subscription.ts';
import { collect } from './collect.ts';

/**
 * Resumes what a trial without a card has paused: a period begins now and is billed. It is active once that is paid, or, with
 * `resume_on_payment_attempt`, once that was tried.
 */
export function resumePaused(
  context: Context,
  before: Stripe.Subscription,
  behavior: 'resume_on_payment_attempt' | 'resume_on_payment_success' = 'resume_on_payment_attempt',
): Stripe.Subscription {
  if (before.status !== 'paused')
    throw invalidRequest(`This subscription cannot be resumed because its status is ${before.status}.`);
  const customer = ownerOf(context, before);
  const now = timeOf(context, customer);
  const items = before.items.data.map((item) =>
    withPeriod(item, findPeriod(now, recurrenceOf(item.price), now)),
  );
  const restarted = { ...before, billing_cycle_anchor: now, items: listOfItems(before.id, items) };
  const lines = items
    .filter((item) => !isMetered(item))
    .map((item) => licensedLine(context, { subscription: restarted, item, period: periodOf(item) }));
  const draft = createDraft(context, {
    customer,
    subscription: restarted,
    reason: 'subscription_update',
    currency: before.currency,
    lines,
    discounts: before.discounts.map((discount) => refId(discount)),
    period: { start: now, end: now },
    autoAdvance: true,
  });
  const subscription = changeSubscription(context, before.id, {
    billing_cycle_anchor: now,
    items: restarted.items,
    latest_invoice: draft.id,
  });
  if (behavior === 'resume_on_payment_attempt') settleSubscription(context, draft);
  return collect(context, { subscription, draft }, 'allow_incomplete');
}
