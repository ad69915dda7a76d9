import type Stripe from 'stripe';
import { stripeRowId } from '../stripe/row-id.ts';
import { idOf, instantOf } from '../stripe/stripe-shapes.ts';
import { syncCheckout } from '../subscriptions/sync-checkout.ts';
import { findOwner } from './find-tenant.ts';
import { CALL, locked, orMissing, type Step, type Work } from './work.ts';

/** Ends a checkout as Stripe says. The subscription that it led to follows, under its own lock. */
export function syncCheckoutSession(work: Work, id: string): Promise<Step> {
  const ref = { type: 'checkout.session', id };
  const { stripe, now } = work;
  return locked(work, ref, async (transaction) => {
    const session = await orMissing(
      stripe.checkout.sessions.retrieve(id, { expand: ['subscription'] }, CALL),
    );
    if (session === undefined) return { outcome: 'gone' };
    // Without a customer it is not one of ours: each of our checkouts names its tenant's.
    if (session.customer === null && session.status !== 'complete') return { outcome: 'unchanged' };
    const owner = await findOwner(work, transaction, ref, session);
    if (owner.tenantId === undefined) return owner.step;
    const { tenantId, isErased } = owner;
    const subscriptionId = rowIdOf(session.subscription);
    const isWritten =
      !isErased && (await syncCheckout(transaction, { tenantId, session, subscriptionId }, now));
    const subscription = idOf(session.subscription);
    return {
      outcome: isWritten ? 'written' : 'unchanged',
      tenantId,
      isErased,
      next: subscription === undefined ? [] : [{ type: 'subscription', id: subscription }],
    };
  });
}

function rowIdOf(subscription: string | Stripe.Subscription | null): string | undefined {
  if (subscription === null || typeof subscription === 'string') return undefined;
  const created = instantOf(subscription.created);
  return created === undefined ? undefined : stripeRowId(subscription.id, created);
}
