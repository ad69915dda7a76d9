import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../../../platform/json/canonical-json.ts';
import { planMeters } from './meters.ts';
import { limitPolicy, PLAN_TYPES } from './plan.ts';

export const BILLING_CYCLES = ['monthly', 'yearly'] as const;
export type BillingCycle = (typeof BILLING_CYCLES)[number];

/** A plan with everything that Stripe has to know of it. */
export const soldPlan = z.object({
  plan_id: z.string(),
  plan_name: z.string(),
  plan_type: z.enum(PLAN_TYPES),
  price_monthly: z.number(),
  price_yearly: z.number(),
  currency: z.string(),
  limit_policies: z.record(z.string(), limitPolicy),
  is_active: z.boolean(),
  stripe_product_id: z.string().nullable(),
  stripe_price_id: z.string().nullable(),
  stripe_price_id_yearly: z.string().nullable(),
  stripe_meters: planMeters,
  synced_at: z.string().nullable(),
  version: z.number(),
});
export type SoldPlan = z.output<typeof soldPlan>;

/** A price that a plan must have at Stripe. */
export interface WantedPrice {
  readonly kind: 'base' | 'overage';
  readonly cycle: BillingCycle;
  readonly usageType: string | null;
  /** In minor units; a part of one is possible for overage. */
  readonly amount: string;
  /**
   * The name of the price at Stripe, made of its content. The same price is never made twice, and a plan that returns to an earlier
   * price gets that one back.
   */
  readonly lookupKey: string;
}

/** The prices that a plan must have. A cycle without a price is not sold, and a free plan has none. */
export function wantedPrices(plan: SoldPlan): WantedPrice[] {
  if (plan.plan_type === 'free' || !plan.is_active) return [];
  const money = plan.currency.toLowerCase();
  return BILLING_CYCLES.flatMap((cycle): WantedPrice[] => {
    const base = cycle === 'monthly' ? plan.price_monthly : plan.price_yearly;
    if (base === 0) return [];
    const own: WantedPrice = {
      kind: 'base',
      cycle,
      usageType: null,
      amount: String(base),
      lookupKey: `${plan.plan_id}:${cycle}:${money}:${base}`,
    };
    const overages = meteredTypes(plan).map(([usageType, amount]): WantedPrice => ({
      kind: 'overage',
      cycle,
      usageType,
      amount,
      lookupKey: `${plan.plan_id}:${cycle}:${usageType}:${money}:${amount}`,
    }));
    return [own, ...overages];
  });
}

/** The usage types that a plan charges for beyond its limit, each with what a unit costs. */
function meteredTypes(plan: SoldPlan): [usageType: string, amount: string][] {
  return Object.entries(plan.limit_policies).flatMap(([usageType, policy]): [string, string][] =>
    policy.mode === 'metered' && policy.overage_unit_amount_decimal !== undefined
      ? [[usageType, plainDecimal(policy.overage_unit_amount_decimal)]]
      : [],
  );
}

/** One spelling for each number: `00.50` is `0.5`. */
function plainDecimal(text: string): string {
  const [whole = '0', part = ''] = text.split('.');
  const digits = part.replace(/0+$/, '');
  return `${whole.replace(/^0+(?=\d)/, '')}${digits === '' ? '' : `.${digits}`}`;
}

/** The Idempotency-Key of a creation: the same for the same content of the same version only. */
export function creationKey(kind: string, id: string, version: number, content: unknown): string {
  const hash = createHash('sha256').update(canonicalJson(content)).digest('base64url').slice(0, 22);
  return `${kind}:${id}:${version}:${hash}`;
}
