import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { record } from '../api/record.ts';
import { refId } from '../objects/refs.ts';

/** Changes a subscription as the newest state has it, with `customer.subscription.updated`. */
export function changeSubscription(
  context: Context,
  id: string,
  change: Partial<Stripe.Subscription>,
): Stripe.Subscription {
  const before = context.find('subscription', id);
  return context.change('customer.subscription.updated', before, { ...before, ...change });
}

export function hasEnded({ status }: Pick<Stripe.Subscription, 'status'>): boolean {
  return status === 'canceled' || status === 'incomplete_expired';
}

/** The subscription that an invoice is for, if it lives. */
function findLive(context: Context, invoice: Stripe.Invoice): Stripe.Subscription | undefined {
  const id = refId(invoice.parent?.subscription_details?.subscription);
  const subscription = id === null ? undefined : context.store.get('subscription', id);
  return subscription === undefined || hasEnded(subscription) ? undefined : subscription;
}

/** The same, if this is its newest invoice: only that one decides whether it is active. */
function findDecided(context: Context, invoice: Stripe.Invoice): Stripe.Subscription | undefined {
  const subscription = findLive(context, invoice);
  return refId(subscription?.latest_invoice) === invoice.id ? subscription : undefined;
}

/** The newest invoice needs no more money: it is paid, void or uncollectible. */
export function settleSubscription(context: Context, invoice: Stripe.Invoice): void {
  const subscription = findDecided(context, invoice);
  if (subscription === undefined) return;
  const isWaiting = ['incomplete', 'past_due', 'unpaid'].includes(subscription.status);
  if (isWaiting) changeSubscription(context, subscription.id, { status: 'active' });
  if (subscription.status === 'paused') {
    const { status_details: _details, ...before } = subscription;
    const resumed = { ...before, status: 'active' };
    context.change('customer.subscription.updated', subscription, resumed);
    context.emit('customer.subscription.resumed', resumed);
  }
}

/** A payment of the newest invoice has failed. A first payment that fails leaves the subscription incomplete. */
export function delaySubscription(context: Context, invoice: Stripe.Invoice): void {
  const subscription = findDecided(context, invoice);
  if (subscription?.status === 'active' || subscription?.status === 'trialing')
    changeSubscription(context, subscription.id, { status: 'past_due' });
}

/** Invoices of a subscription that has ended, or is unpaid, are no longer collected by themselves. */
export function stopCollection(context: Context, subscription: string): void {
  for (const invoice of context.store.list('invoice')) {
    const isOpen = invoice.status === 'open' || invoice.status === 'draft';
    if (!isOpen || refId(invoice.parent?.subscription_details?.subscription) !== subscription) continue;
    context.change('invoice.updated', invoice, {
      ...invoice,
      auto_advance: false,
      automatically_finalizes_at: null,
      next_payment_attempt: null,
    });
  }
}

/** Why somebody cancels, in their own words. */
export interface CancellationDetails {
  readonly comment?: string | null | undefined;
  readonly feedback?: Stripe.Subscription.CancellationDetails.Feedback | null | undefined;
}

export interface Ending {
  readonly at: number;
  readonly status?: 'canceled' | 'incomplete_expired';
  readonly reason?: 'cancellation_requested' | 'payment_failed' | null;
  readonly details?: CancellationDetails | undefined;
  /** The invoice of what was still to be billed. */
  readonly lastInvoice?: string | undefined;
}

/** Ends a subscription now. */
export function endSubscription(
  context: Context,
  { id }: Stripe.Subscription,
  { at, status = 'canceled', reason = null, details, lastInvoice }: Ending,
): Stripe.Subscription {
  const before = context.find('subscription', id);
  const known = before.cancellation_details;
  const ended: Stripe.Subscription = {
    ...before,
    canceled_at: before.canceled_at ?? at,
    cancellation_details: {
      comment: details?.comment ?? known?.comment ?? null,
      feedback: details?.feedback ?? known?.feedback ?? null,
      feedback_option: known?.feedback_option ?? null,
      reason: known?.reason ?? reason,
    },
    ended_at: at,
    latest_invoice: lastInvoice ?? before.latest_invoice,
    status,
  };
  if (status === 'canceled') return record(context, 'customer.subscription.deleted', ended);
  return context.change('customer.subscription.updated', before, ended);
}

/** All retries have failed: what happens is a setting. */
export function giveUpSubscription(
  context: Context,
  invoice: Stripe.Invoice,
  then: 'cancel' | 'past_due' | 'unpaid',
  at: number,
): void {
  const subscription = findLive(context, invoice);
  if (subscription === undefined || then === 'past_due') return;
  stopCollection(context, subscription.id);
  if (then === 'cancel') endSubscription(context, subscription, { at, reason: 'payment_failed' });
  else changeSubscription(context, subscription.id, { status: 'unpaid' });
}
