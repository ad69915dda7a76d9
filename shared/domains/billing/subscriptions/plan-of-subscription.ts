import { z } from 'zod';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { itemsOf, type ItemShape } from '../stripe/stripe-shapes.ts';

const FREE_PLAN = 'free';

const planRows = z.array(
  z.object({
    plan_id: z.string(),
    stripe_price_id: z.string().nullable(),
    stripe_price_id_yearly: z.string().nullable(),
    stripe_product_id: z.string().nullable(),
  }),
);
type PlanRow = z.output<typeof planRows>[number];

/** What a subscription is to: a plan, by the item whose price it is. */
export interface SubscribedPlan {
  readonly planId: string;
  readonly billingCycle: 'monthly' | 'yearly';
  /** The item of the plan's base price; undefined for a subscription without items. */
  readonly item: ItemShape | undefined;
  /** False: no plan has such a price. The plan is the least then. */
  readonly isKnown: boolean;
}

function hasPrice(plan: PlanRow, { price }: ItemShape): boolean {
  return plan.stripe_price_id === price.id || plan.stripe_price_id_yearly === price.id;
}

/**
 * The plan of a subscription's base item. Metered items are beside it. A price is replaced when a plan's price changes, and who has
 * subscribed before keeps the old one: so a price of the plan's product counts where no plan has the price itself.
 */
export async function findSubscribedPlan(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  subscription: unknown,
): Promise<SubscribedPlan> {
  const items = itemsOf(subscription).filter(({ price }) => !price.isMetered);
  const plans = planRows.parse(
    await transaction.query(
      `select plan_id, stripe_price_id, stripe_price_id_yearly, stripe_product_id from billing_plans
        where stripe_price_id = any($1::text[]) or stripe_price_id_yearly = any($1::text[])
           or stripe_product_id = any($2::text[])
        order by plan_id`,
      [
        items.map(({ price }) => price.id),
        items.flatMap(({ price: { productId } }) => (productId === undefined ? [] : [productId])),
      ],
    ),
  );
  const matches = [
    hasPrice,
    (plan: PlanRow, { price }: ItemShape) =>
      price.productId !== undefined && plan.stripe_product_id === price.productId,
  ];
  for (const isMatch of matches)
    for (const item of items) {
      const plan = plans.find((one) => isMatch(one, item));
      if (plan !== undefined) return { planId: plan.plan_id, billingCycle: cycleOf(item), item, isKnown: true };
    }
  const [item] = items;
  return { planId: FREE_PLAN, billingCycle: cycleOf(item), item, isKnown: false };
}

function cycleOf(item: ItemShape | undefined): 'monthly' | 'yearly' {
  return item?.price.interval === 'year' ? 'yearly' : 'monthly';
}
