import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest, notInStandIn } from '../api/stripe-error.ts';
import { changeCustomer, ownerOf, timeOf } from '../customers/customer-time.ts';
import { createDraft } from '../invoices/drafts.ts';
import { deleteInvoiceItem, listPendingItems } from '../invoices/invoice-items.ts';
import { meteredLine } from '../invoices/lines.ts';
import { detachMethod } from '../payments/payment-methods.ts';
import {
  firstPeriodEnd,
  haveOneRecurrence,
  isMetered,
  lastPeriodEnd,
  unbilledPeriod,
} from '../subscriptions/items.ts';
import { endSubscription, hasEnded, stopCollection } from '../subscriptions/status.ts';
import type { CancellationDetails } from '../subscriptions/status.ts';
import { creditUnused } from './prorations.ts';

export interface CancellationRequest {
  readonly cancel_at?: number | 'max_period_end' | 'min_period_end' | null | undefined;
  readonly cancel_at_period_end?: boolean | undefined;
  readonly cancellation_details?: CancellationDetails | undefined;
}

type CancellationFields = Pick<
  Stripe.Subscription,
  'cancel_at' | 'cancel_at_period_end' | 'canceled_at' | 'cancellation_details'
>;

function findCancelAt(subscription: Stripe.Subscription, given: number | string, now: number): number {
  if (given === 'max_period_end') return lastPeriodEnd(subscription);
  if (given === 'min_period_end') return firstPeriodEnd(subscription);
  if (typeof given === 'number' && given > now) return given;
  throw invalidRequest('cancel_at must be a timestamp in the future', { param: 'cancel_at' });
}

function detailsOf(
  { cancellation_details: before }: Stripe.Subscription,
  given: CancellationDetails | undefined,
  reason: Stripe.Subscription.CancellationDetails.Reason | null,
): Stripe.Subscription.CancellationDetails {
  const { comment = before?.comment ?? null, feedback = before?.feedback ?? null } = given ?? {};
  return { comment, feedback, feedback_option: before?.feedback_option ?? null, reason };
}

/** What a request leaves of a cancellation to come. One at the period's end moves with the period. */
export function scheduleCancellation(
  subscription: Stripe.Subscription,
  { cancel_at, cancel_at_period_end, cancellation_details: given }: CancellationRequest,
  now: number,
): CancellationFields {
  if (cancel_at != null && cancel_at_period_end === true)
    throw invalidRequest('You may only specify one of these parameters: cancel_at, cancel_at_period_end.');
  // As at Stripe, `cancel_at_period_end=false` undoes only what `true` did: a `cancel_at` is unset by itself.
  const isUndone = cancel_at_period_end === false && subscription.cancel_at_period_end;
  if (cancel_at === null || (isUndone && cancel_at === undefined))
    return {
      cancel_at: null,
      cancel_at_period_end: false,
      canceled_at: null,
      cancellation_details: {
        comment: given?.comment ?? null,
        feedback: given?.feedback ?? null,
        feedback_option: null,
        reason: null,
      },
    };
  const atPeriodEnd = cancel_at === undefined && (cancel_at_period_end ?? subscription.cancel_at_period_end);
  if (atPeriodEnd && !haveOneRecurrence(subscription.items.data))
    throw notInStandIn('cancel_at_period_end of items that recur differently; use cancel_at=max_period_end');
  const at = atPeriodEnd
    ? lastPeriodEnd(subscription)
    : cancel_at === undefined
      ? subscription.cancel_at
      : findCancelAt(subscription, cancel_at, now);
  return {
    cancel_at: at,
    cancel_at_period_end: atPeriodEnd,
    canceled_at: at === null ? subscription.canceled_at : (subscription.canceled_at ?? now),
    cancellation_details: detailsOf(
      subscription,
      given,
      at === null ? (subscription.cancellation_details?.reason ?? null) : 'cancellation_requested',
    ),
  };
}

/** The draft of what is still to be billed when a subscription ends: its usage and what waits for an invoice. */
function draftLastInvoice(
  context: Context,
  subscription: Stripe.Subscription,
  at: number,
): Stripe.Invoice | undefined {
  const customer = ownerOf(context, subscription);
  const used = subscription.items.data
    .filter((item) => isMetered(item))
    .map((item) => meteredLine(context, { subscription, item, period: unbilledPeriod(context, item, at) }))
    .filter(({ amount }) => amount > 0);
  const { currency, id } = subscription;
  const items = listPendingItems(context, { customer: customer.id, currency, subscription: id });
  if (used.length + items.length === 0) return undefined;
  return createDraft(context, {
    customer,
    subscription,
    reason: 'subscription_cycle',
    currency,
    lines: used,
    items,
    discounts: [],
    period: { start: firstPeriodStart(subscription), end: at },
    autoAdvance: true,
  });
}

function firstPeriodStart({ items }: Stripe.Subscription): number {
  return Math.min(...items.data.map(({ current_period_start }) => current_period_start));
}

/** A cancellation that was scheduled is due. What was used is billed. */
export function endAsScheduled(context: Context, subscription: Stripe.Subscription, at: number): void {
  stopCollection(context, subscription.id);
  const last = subscription.status === 'unpaid' ? undefined : draftLastInvoice(context, subscription, at);
  endSubscription(context, subscription, { at, reason: 'cancellation_requested', lastInvoice: last?.id });
}

interface ImmediateCancellation {
  readonly invoiceNow?: boolean | undefined;
  readonly prorate?: boolean | undefined;
  readonly details?: CancellationDetails | undefined;
}

/** Ends a subscription now. Unless `prorate` and `invoiceNow` ask for it, nothing is credited and nothing more is billed. */
export function cancelNow(
  context: Context,
  subscription: Stripe.Subscription,
  { invoiceNow = false, prorate = false, details }: ImmediateCancellation,
): Stripe.Subscription {
  const customer = ownerOf(context, subscription);
  const now = timeOf(context, customer);
  if (prorate && subscription.status !== 'trialing')
    for (const item of subscription.items.data)
      if (!isMetered(item)) creditUnused(context, { customer, subscription, item, at: now });
  stopCollection(context, subscription.id);
  const last = invoiceNow ? draftLastInvoice(context, subscription, now) : undefined;
  return endSubscription(context, subscription, {
    at: now,
    reason: 'cancellation_requested',
    details,
    lastInvoice: last?.id,
  });
}

/** Ends all that a customer has, who is about to be deleted. */
export function endAllOf(context: Context, customer: Stripe.Customer): void {
  const isTheirs = ({ customer: of }: { customer: unknown }): boolean => of === customer.id;
  for (const subscription of context.store.list('subscription', isTheirs))
    if (!hasEnded(subscription)) cancelNow(context, subscription, {});
  for (const item of context.store.list('invoiceitem', isTheirs))
    if (item.invoice === null) deleteInvoiceItem(context, item);
  for (const method of context.store.list('payment_method', isTheirs)) detachMethod(context, method);
  if (customer.delinquent === true) changeCustomer(context, customer.id, { delinquent: false });
}
