import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';

/** Anything that sends statements as the cross-tenant role. */
type Queries = Pick<TenantTransaction, 'query'>;

/** What a price of Stripe is for. */
export interface PricedPlan {
  readonly planId: string;
  /** `base`: the plan itself. `overage`: what is beyond a metered limit of it. */
  readonly kind: 'base' | 'overage';
  readonly billingCycle: 'monthly' | 'yearly';
  /** Of `overage`: whose limit. */
  readonly usageType: string | null;
}

/**
 * The plan that a price of Stripe belongs to, also a price that the plan no longer has: subscriptions keep the price that they began
 * with. Undefined for a price of no plan.
 */
export async function planOfPrice(database: Queries, stripePriceId: string): Promise<PricedPlan | undefined> {
  const [found] = await database.query<{
    plan_id: string;
    kind: PricedPlan['kind'];
    billing_cycle: PricedPlan['billingCycle'];
    usage_type: string | null;
  }>(
    `select plan_id, 'base' as kind, 'monthly' as billing_cycle, null as usage_type
       from billing_plans where stripe_price_id = $1
     union all
     select plan_id, 'base', 'yearly', null from billing_plans where stripe_price_id_yearly = $1
     union all
     select plan_id, kind, billing_cycle, usage_type from ops.plan_prices where stripe_price_id = $1
     limit 1`,
    [stripePriceId],
  );
  if (found === undefined) return undefined;
  return {
    planId: found.plan_id,
    kind: found.kind,
    billingCycle: found.billing_cycle,
    usageType: found.usage_type,
  };
}
