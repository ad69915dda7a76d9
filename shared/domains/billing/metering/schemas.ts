import { z } from 'zod';

/** `GET /usage`. */
export const usageReport = z.object({
  plan_id: z.string(),
  items: z.array(
    z.object({
      usage_type: z.string(),
      used: z.number().describe('The period’s usage. On a free plan it includes reserved usage.'),
      limit: z.number().nullable().describe('Null: the plan has no limit for it.'),
      remaining: z.number().nullable(),
      period_start: z.string(),
      resets_at: z.string(),
    }),
  ),
});
export type UsageReport = z.output<typeof usageReport>;
