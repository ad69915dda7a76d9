import { z } from 'zod';

/** `GET /usage`. */
export const usageReport = z.object({
  plan_id: z.string(),
  items: z.array(
    z.object({
      usage_type: z.string(),
      used: z.number().describe('What was used in the period; a free plan’s also counts what is on its way.'),
      limit: z.number().nullable().describe('Null: the plan sets none.'),
      remaining: z.number().nullable(),
      period_start: z.string(),
      resets_at: z.string(),
    }),
  ),
});
export type UsageReport = z.output<typeof usageReport>;
