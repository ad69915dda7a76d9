import { z } from 'zod';

/**
 * What a plan has at Stripe for its metered usage types (`billing_plans.stripe_meters`), by usage type. Empty until the plan has been
 * carried. `prices` are the current prices of one unit beyond the limit; earlier ones are in `ops.plan_prices`.
 */
export const planMeters = z.record(
  z.string(),
  z.object({
    meter_id: z.string(),
    event_name: z.string(),
    prices: z.object({ monthly: z.string().optional(), yearly: z.string().optional() }),
  }),
);
export type PlanMeters = z.output<typeof planMeters>;

/** The name of a usage type's meter events at Stripe. All plans share one meter for each usage type. */
export function meterEventName(usageType: string): string {
  return `comply_ai_${usageType}`;
}
