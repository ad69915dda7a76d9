import { z } from 'zod';
import { RESET_PERIODS } from '../plans/plan.ts';

/** `GET /usage`. */
export const usageReport = z.object({
  plan_id: z.string(),
  items: z.array(
    z.object({
      usage_type: z.string(),
      used: z.number().describe('The period’s usage. Of a hard limit it includes reserved usage.'),
      limit: z.number().nullable().describe('Null: the plan has no limit for it.'),
      remaining: z.number().nullable(),
      period_start: z.string(),
      resets_at: z.string(),
      reset_period: z.enum(RESET_PERIODS),
      mode: z
        .enum(['hard', 'soft', 'metered'])
        .nullable()
        .describe(
          'Beyond the limit: `hard` refuses, `soft` allows, `metered` charges. Null: there is no limit.',
        ),
      over_limit: z.number().describe('What was used beyond the limit.'),
      overage_unit_price: z
        .string()
        .nullable()
        .describe('The price of one unit beyond a `metered` limit, in major units of `currency`.'),
      currency: z.string().nullable().describe('Of `overage_unit_price`.'),
    }),
  ),
});
export type UsageReport = z.output<typeof usageReport>;
