import { z } from 'zod';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';

export const PLAN_TYPES = ['free', 'trial', 'paid', 'enterprise'] as const;
export type PlanType = (typeof PLAN_TYPES)[number];

/** How a limit binds: `hard` refuses what is beyond it, `soft` warns, `metered` charges for it. */
export const LIMIT_MODES = ['hard', 'soft', 'metered'] as const;
export type LimitMode = (typeof LIMIT_MODES)[number];

/** How one usage type's limit binds. */
export const limitPolicy = z.strictObject({
  mode: z.enum(LIMIT_MODES),
  overage_unit_amount_decimal: z
    .string()
    .regex(/^\d{1,12}(\.\d{1,12})?$/, 'must be a decimal number')
    .optional()
    .describe(
      'The price of one unit beyond the limit, in minor units of the plan’s currency. Only for `metered`.',
    ),
});

export type LimitPolicy = z.output<typeof limitPolicy>;

/** How often an allowance is reset. */
export const RESET_PERIODS = ['daily', 'weekly', 'monthly', 'yearly'] as const;
export type ResetPeriod = (typeof RESET_PERIODS)[number];

/** An allowance beside what a month includes. It is hard. A tenant's monthly one is a limit of the plan. */
export const planAllowance = z.strictObject({
  usage_type: z.string().min(1).max(100),
  reset_period: z.enum(RESET_PERIODS),
  per: z
    .enum(['tenant', 'user'])
    .default('tenant')
    .describe(
      '`user`: for each user that a usage event names. It refuses no write of the API: those name no user.',
    ),
  limit: z.number().min(0).max(1e10),
});

/** The limits of a plan, as its row has them. */
export const planLimits = z.object({
  plan_id: z.string(),
  plan_type: z.enum(PLAN_TYPES),
  limits: z.record(z.string(), z.number()),
  limit_policies: z.record(z.string(), limitPolicy),
  allowances: z.array(planAllowance),
});
export type PlanLimits = z.output<typeof planLimits>;

/** How a plan's limit of a usage type binds. A plan that says nothing refuses if it is free, and warns otherwise. */
export function limitMode(
  plan: Pick<PlanLimits, 'plan_type' | 'limit_policies'>,
  usageType: string,
): LimitMode {
  const policy = Object.hasOwn(plan.limit_policies, usageType) ? plan.limit_policies[usageType] : undefined;
  return policy?.mode ?? (plan.plan_type === 'free' ? 'hard' : 'soft');
}

/** Whether a limit of the plan refuses what is beyond it. A user's allowance refuses no write: writes name no user. */
export function hasHardLimit(plan: PlanLimits): boolean {
  return (
    Object.keys(plan.limits).some((usageType) => limitMode(plan, usageType) === 'hard') ||
    plan.allowances.some(({ per }) => per === 'tenant')
  );
}

/** The columns of a {@link PlanLimits}. */
export const PLAN_LIMITS_COLUMNS = 'plan_id, plan_type, limits, limit_policies, allowances';

/** The limits of an active plan; undefined if there is no such plan. */
export async function findActivePlan(
  billing: CrossTenantDatabase,
  planId: string,
): Promise<PlanLimits | undefined> {
  const [plan] = await billing.query(
    `select ${PLAN_LIMITS_COLUMNS} from billing_plans where plan_id = $1 and is_active`,
    [planId],
  );
  return plan === undefined ? undefined : planLimits.parse(plan);
}
