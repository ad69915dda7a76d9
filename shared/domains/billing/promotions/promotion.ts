import { z } from 'zod';

export const DISCOUNT_TYPES = ['percentage', 'fixed_amount', 'free_trial'] as const;
export type DiscountType = (typeof DISCOUNT_TYPES)[number];
export const DURATIONS = ['once', 'repeating', 'forever'] as const;
export type Duration = (typeof DURATIONS)[number];

/** A code as people type it. Stripe's promotion codes take the same characters. */
const TYPED_CODE = /^[A-Za-z0-9-]{3,50}$/;

/** The stored spelling of a code; undefined for a text that no code can be. Codes are case-insensitive. */
export function codeOf(typed: string): string | undefined {
  const trimmed = typed.trim();
  return TYPED_CODE.test(trimmed) ? trimmed.toUpperCase() : undefined;
}

/** A promotional code, as its row has it. */
export const promotionRow = z.object({
  code: z.string(),
  discount_type: z.enum(DISCOUNT_TYPES),
  /** Percent, minor units of the currency, or days. */
  discount_value: z.number(),
  currency: z.string().nullable(),
  duration: z.enum(DURATIONS),
  duration_in_months: z.number().nullable(),
  max_uses: z.number().nullable(),
  current_uses: z.number(),
  /** RFC 3339, as the driver returns times. */
  valid_from: z.string().nullable(),
  valid_until: z.string().nullable(),
  applicable_plans: z.array(z.string()),
  stripe_coupon_id: z.string().nullable(),
  stripe_promotion_code_id: z.string().nullable(),
  synced_at: z.string().nullable(),
  is_active: z.boolean(),
  version: z.number(),
});
export type Promotion = z.output<typeof promotionRow>;

/** The columns of {@link promotionRow}. */
export const PROMOTION_COLUMNS = Object.keys(promotionRow.shape).join(', ');

/** Why a code gives nothing. */
export const REFUSALS = [
  'unknown',
  'inactive',
  'already_used',
  'not_yet_valid',
  'expired',
  'not_for_this_plan',
  'used_up',
] as const;
export type Refusal = (typeof REFUSALS)[number];

/** What a plan has to say about a code. */
export interface PromotedPlan {
  readonly plan_id: string;
  readonly plan_type: string;
  readonly currency: string;
}

/** A tenant's use of a code, as its row has it. */
export const useRow = z.object({
  status: z.enum(['reserved', 'used']),
  checkout_session_id: z.string().nullable(),
});
export type Use = z.output<typeof useRow>;

/**
 * Why a tenant cannot use a code for a plan; undefined if it can. A use that the tenant has reserved already is counted: it is not
 * refused because the last use is its own.
 */
export function refusalOf(
  promotion: Promotion | undefined,
  plan: PromotedPlan | undefined,
  use: Use | undefined,
  now: Date,
): Refusal | undefined {
  if (promotion === undefined) return 'unknown';
  if (!promotion.is_active) return 'inactive';
  if (use?.status === 'used') return 'already_used';
  const { valid_from: from, valid_until: until } = promotion;
  if (from !== null && Date.parse(from) > now.getTime()) return 'not_yet_valid';
  if (until !== null && Date.parse(until) <= now.getTime()) return 'expired';
  if (!isFor(promotion, plan)) return 'not_for_this_plan';
  const { max_uses: max, current_uses: used } = promotion;
  return max !== null && used >= max && use === undefined ? 'used_up' : undefined;
}

/** A free plan has nothing to take off, and an amount can only be taken off a price in its own currency. */
function isFor(promotion: Promotion, plan: PromotedPlan | undefined): boolean {
  if (plan === undefined || plan.plan_type === 'free') return false;
  const { applicable_plans: plans, currency } = promotion;
  return (
    (plans.length === 0 || plans.includes(plan.plan_id)) && (currency ?? plan.currency) === plan.currency
  );
}
