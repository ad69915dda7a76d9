import type Stripe from 'stripe';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { Reply } from '../../../platform/call/reply.ts';
import { isStripeMissing } from '../stripe/client.ts';
import { changeAtStripe } from './at-stripe.ts';
import type { Cancellation, SubscriptionView } from './schemas.ts';

/**
 * Cancels the tenant's subscription, at the end of the paid period or now. Safe to repeat.
 * @throws Problem 409 without a subscription at Stripe, 503 if Stripe does not answer.
 */
export function cancelSubscription(
  call: Call,
  { at, reason }: Cancellation,
): Promise<Reply<200, SubscriptionView>> {
  const details = reason === undefined ? {} : { cancellation_details: { comment: reason } };
  return changeAtStripe(call, {
    action: 'billing.subscription_cancelled',
    details: { at },
    ask: async (stripe, { stripe_subscription_id: id }) => {
      if (at === 'now') return endNow(stripe, id, details);
      await stripe.subscriptions.update(id, { cancel_at_period_end: true, ...details });
    },
  });
}

/** Ends a subscription now. Use beyond metered limits is billed; what is paid for the rest of the period is not given back. Safe to repeat. */
export async function endNow(
  stripe: Stripe,
  id: string,
  details: Pick<Stripe.SubscriptionCancelParams, 'cancellation_details'>,
): Promise<void> {
  try {
    await stripe.subscriptions.cancel(id, { ...details, invoice_now: true, prorate: false });
  } catch (error) {
    // It has ended already: by this request before, or by another.
    if (!isStripeMissing(error)) throw error;
  }
}

/**
 * Takes back a cancellation that is still to come. Safe to repeat.
 * @throws Problem 409 without a live subscription at Stripe, 503 if Stripe does not answer.
 */
export function resumeSubscription(call: Call): Promise<Reply<200, SubscriptionView>> {
  return changeAtStripe(call, {
    action: 'billing.subscription_resumed',
    details: {},
    ask: async (stripe, { stripe_subscription_id: id }) => keepGoing(stripe, id),
  });
}

/** The portal cancels by `cancel_at`, which `cancel_at_period_end: false` does not undo: each is undone by itself. */
async function keepGoing(stripe: Stripe, id: string): Promise<void> {
  let now: Stripe.Subscription = await stripe.subscriptions.retrieve(id);
  if (now.status === 'canceled' || now.status === 'incomplete_expired')
    throw new Problem('CONFLICT', { detail: 'The subscription has ended. Buy a plan by a new checkout.' });
  if (now.cancel_at_period_end) now = await stripe.subscriptions.update(id, { cancel_at_period_end: false });
  if (now.cancel_at !== null) await stripe.subscriptions.update(id, { cancel_at: '' });
}
