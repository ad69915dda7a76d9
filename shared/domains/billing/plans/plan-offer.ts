import { z } from 'zod';
import { Problem } from '../../../platform/call/problem.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { planMeters } from './meters.ts';
import { PLAN_TYPES } from './plan.ts';
import { BILLING_CYCLES, type BillingCycle } from './stripe-plan.ts';

export const billingCycle = z.enum(BILLING_CYCLES);

/** A plan's id in a request. */
export const planId = z.string().min(1).max(100);

const planRow = z.object({
  plan_id: z.string(),
  plan_name: z.string(),
  plan_type: z.enum(PLAN_TYPES),
  price_monthly: z.number(),
  price_yearly: z.number(),
  currency: z.string(),
  stripe_price_id: z.string().nullable(),
  stripe_price_id_yearly: z.string().nullable(),
  stripe_meters: planMeters,
  trial_days: z.number(),
  is_active: z.boolean(),
});

/** A plan as it is sold in one billing cycle. */
export interface PlanOffer {
  readonly planId: string;
  readonly planName: string;
  readonly billingCycle: BillingCycle;
  /** In minor units. */
  readonly amount: number;
  readonly currency: string;
  readonly trialDays: number;
  /** The Stripe price of the plan itself. */
  readonly basePrice: string;
  /** The Stripe prices of what is beyond its metered limits. */
  readonly meteredPrices: readonly string[];
}

/**
 * The plan that a tenant wants to buy.
 * @throws Problem 400 for a plan that does not exist or is free, 409 for one that is not sold (any more, or not in this cycle).
 */
export async function findPlanOffer(
  transaction: Pick<TenantTransaction, 'query'>,
  wanted: { readonly plan_id: string; readonly billing_cycle: BillingCycle },
): Promise<PlanOffer> {
  const [row] = await transaction.query(
    `select ${Object.keys(planRow.shape).join(', ')} from billing_plans where plan_id = $1`,
    [wanted.plan_id],
  );
  if (row === undefined) throw badPlan('is no plan');
  const plan = planRow.parse(row);
  const isMonthly = wanted.billing_cycle === 'monthly';
  const basePrice = isMonthly ? plan.stripe_price_id : plan.stripe_price_id_yearly;
  if (plan.plan_type === 'free') throw badPlan('is free: cancel the subscription instead');
  if (!plan.is_active) throw notSold('The plan is no longer sold.');
  if (basePrice === null) throw notSold('The plan is not sold in this billing cycle.');
  return {
    planId: plan.plan_id,
    planName: plan.plan_name,
    billingCycle: wanted.billing_cycle,
    amount: isMonthly ? plan.price_monthly : plan.price_yearly,
    currency: plan.currency,
    trialDays: plan.trial_days,
    basePrice,
    meteredPrices: Object.values(plan.stripe_meters).flatMap(
      ({ prices }) => prices[wanted.billing_cycle] ?? [],
    ),
  };
}

function badPlan(detail: string): Problem {
  return new Problem('INVALID_REQUEST', { errors: [{ pointer: '/plan_id', detail }] });
}

function notSold(detail: string): Problem {
  return new Problem('CONFLICT', { detail });
}
