import { createHash } from 'node:crypto';
import { z } from 'zod';
import { SingleFlightCache } from '../../../platform/cache/single-flight-cache.ts';
import type { CallServices } from '../../../platform/call/call.ts';
import { notModified, ok, type NotModified, type Reply } from '../../../platform/call/reply.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { namesTag } from '../../../platform/http/etag.ts';
import { toDecimal } from '../money.ts';
import { LIMIT_MODES, limitMode, limitPolicy, PLAN_TYPES } from './plan.ts';

const price = z
  .string()
  .nullable()
  .describe('A decimal of the currency’s major unit: `29.00`. Null: not sold in this cycle.');

/** A plan as anyone may see it. */
const publicPlan = z.object({
  plan_id: z.string(),
  plan_name: z.string(),
  plan_type: z.enum(PLAN_TYPES),
  currency: z.string(),
  price_monthly: price,
  price_yearly: price,
  trial_days: z.number(),
  features: z.record(z.string(), z.unknown()),
  limits: z.array(
    z.object({
      usage_type: z.string(),
      limit: z.number().describe('What a month includes.'),
      mode: z
        .enum(LIMIT_MODES)
        .describe(
          '`hard`: more is refused. `soft`: more works and is warned of. `metered`: more is charged for.',
        ),
      overage_unit_amount_decimal: z
        .string()
        .nullable()
        .describe('What one unit beyond the limit costs, in minor units of the currency.'),
    }),
  ),
});
type PublicPlan = z.output<typeof publicPlan>;

/** The answer of `GET /billing/plans`. */
export const publicPlans = z.object({ items: z.array(publicPlan) });
type PublicPlans = z.output<typeof publicPlans>;

const row = z.object({
  plan_id: z.string(),
  plan_name: z.string(),
  plan_type: z.enum(PLAN_TYPES),
  price_monthly: z.number(),
  price_yearly: z.number(),
  currency: z.string(),
  trial_days: z.number(),
  features: z.record(z.string(), z.unknown()),
  limits: z.record(z.string(), z.number()),
  limit_policies: z.record(z.string(), limitPolicy),
});

interface Listed {
  readonly body: PublicPlans;
  readonly etag: string;
}

/** Nobody's key limits who asks, so a crowd must not reach the database. An operator's change is seen after this time. */
const CACHE_MS = 5_000;
/** What browsers and proxies may do without asking again. */
const MAX_AGE_S = 60;

/** What {@link listPlans} needs. */
export type PlanListServices = Pick<CallServices, 'crossTenant'>;

const listed = new WeakMap<CrossTenantDatabase, SingleFlightCache<Listed>>();

/** All active plans, the cheapest first, for anyone. 304 if the client has them already. */
export async function listPlans(
  { crossTenant: { billing } }: PlanListServices,
  ifNoneMatch: string | null,
): Promise<Reply<200, PublicPlans> | NotModified> {
  const cache = listed.get(billing) ?? new SingleFlightCache<Listed>({ ttlMs: CACHE_MS, max: 1 });
  listed.set(billing, cache);
  const { body, etag } = await cache.find('', () => readPlans(billing));
  const headers = { etag, 'cache-control': `public, max-age=${MAX_AGE_S}` };
  return namesTag(ifNoneMatch, etag) ? notModified(headers) : ok<PublicPlans>(body, headers);
}

async function readPlans(billing: CrossTenantDatabase): Promise<Listed> {
  const rows = await billing.query(
    `select ${Object.keys(row.shape).join(', ')} from billing_plans where is_active
      order by plan_type <> 'free', price_monthly, plan_id`,
  );
  const body = { items: rows.map((plan) => present(row.parse(plan))) };
  const hash = createHash('sha256').update(JSON.stringify(body)).digest('base64url').slice(0, 22);
  return { body, etag: `"${hash}"` };
}

function present(plan: z.output<typeof row>): PublicPlan {
  const { limits, limit_policies: policies, currency } = plan;
  const priceOf = (amount: number): string | null =>
    amount === 0 && plan.plan_type !== 'free' ? null : toDecimal(amount, currency);
  return {
    plan_id: plan.plan_id,
    plan_name: plan.plan_name,
    plan_type: plan.plan_type,
    currency,
    price_monthly: priceOf(plan.price_monthly),
    price_yearly: priceOf(plan.price_yearly),
    trial_days: plan.trial_days,
    features: plan.features,
    limits: Object.entries(limits).map(([usageType, limit]) => ({
      usage_type: usageType,
      limit,
      mode: limitMode(plan, usageType),
      overage_unit_amount_decimal:
        (Object.hasOwn(policies, usageType) ? policies[usageType]?.overage_unit_amount_decimal : undefined) ??
        null,
    })),
  };
}

/** The active plans that say what a free tenant gets, and those that are sold. */
export async function countPlans(
  billing: CrossTenantDatabase,
): Promise<{ readonly free: number; readonly sold: number }> {
  const [row] = await billing.query<{ free: number; sold: number }>(
    `select count(*) filter (where plan_type = 'free') as free, count(*) filter (where plan_type <> 'free') as sold
       from billing_plans where is_active`,
  );
  return row ?? { free: 0, sold: 0 };
}
