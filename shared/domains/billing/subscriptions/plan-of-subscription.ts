import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { planOfPrice } from '../plans/plan-of-price.ts';
import { itemsOf, type ItemShape } from '../stripe/stripe-shapes.ts';

/** What a subscription to no plan gives. */
const LEAST_PLAN = 'free';

/** What a subscription is to: a plan, by the item whose price it is. */
export interface SubscribedPlan {
  readonly planId: string;
  readonly billingCycle: 'monthly' | 'yearly';
  /** The item of the plan's base price; undefined for a subscription of metered items alone. */
  readonly item: ItemShape | undefined;
  /** False: no plan has such a price. The plan is the least then. */
  readonly isKnown: boolean;
}

/** The plan of a subscription's base item. Metered items are beside it. */
export async function findSubscribedPlan(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  subscription: unknown,
): Promise<SubscribedPlan> {
  const items = itemsOf(subscription).filter(({ price }) => !price.isMetered);
  for (const item of items) {
    const priced = await planOfPrice(transaction, item.price.id);
    if (priced?.kind !== 'base') continue;
    return { planId: priced.planId, billingCycle: priced.billingCycle, item, isKnown: true };
  }
  const [item] = items;
  const billingCycle = item?.price.interval === 'year' ? 'yearly' : 'monthly';
  return { planId: LEAST_PLAN, billingCycle, item, isKnown: false };
}
