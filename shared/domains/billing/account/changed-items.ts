import type Stripe from 'stripe';
import { Problem } from '../../../platform/call/problem.ts';
import type { PlanOffer } from '../plans/plan-offer.ts';

/** A change of a subscription's items, for a change and for its preview. */
export interface ChangedItem {
  readonly id?: string;
  readonly price?: string;
  readonly deleted?: true;
}

/** A subscription at Stripe, the item of its plan, and what has to change of its items. */
export interface ItemChange {
  readonly base: Stripe.SubscriptionItem;
  /** Empty if the subscription is to this plan already. */
  readonly items: ChangedItem[];
}

const isMetered = ({ price }: Stripe.SubscriptionItem): boolean => price.recurring?.usage_type === 'metered';

/**
 * What has to change of a subscription's items for a plan: the price of the plan itself, and the prices of metered use.
 * @throws Problem 409 in a state in which Stripe changes nothing, or which somebody has to pay first.
 */
export function changedItems(subscription: Stripe.Subscription, plan: PlanOffer): ItemChange {
  const { status } = subscription;
  if (status !== 'active' && status !== 'trialing' && status !== 'past_due')
    throw new Problem('CONFLICT', {
      detail: `The subscription is ${status}: what is open must be paid first, in the portal.`,
    });
  const items = subscription.items.data;
  const base = items.find((item) => !isMetered(item));
  if (base === undefined)
    throw new Problem('CONFLICT', { detail: 'The subscription has no plan to change.' });
  const metered = items.filter(isMetered);
  const known = new Set(metered.map(({ price }) => price.id));
  return {
    base,
    items: [
      ...(base.price.id === plan.basePrice ? [] : [{ id: base.id, price: plan.basePrice }]),
      ...metered
        .filter(({ price }) => !plan.meteredPrices.includes(price.id))
        .map(({ id }) => ({ id, deleted: true as const })),
      ...plan.meteredPrices.filter((price) => !known.has(price)).map((price) => ({ price })),
    ],
  };
}

/** A customer of a test clock lives in its time. */
export async function timeOf(
  stripe: Stripe,
  { test_clock: clock }: Stripe.Subscription,
  now: Date,
): Promise<number> {
  if (clock === null) return Math.floor(now.getTime() / 1000);
  const { frozen_time: time } = await stripe.testHelpers.testClocks.retrieve(
    typeof clock === 'string' ? clock : clock.id,
  );
  return time;
}
