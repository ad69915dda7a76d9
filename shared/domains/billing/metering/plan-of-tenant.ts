import { z } from 'zod';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { limitMode, planLimits, type LimitMode, type PlanLimits, type ResetPeriod } from '../plans/plan.ts';
import { liveSql } from '../subscriptions/live-states.ts';
import type { SubscriptionTimes } from './periods.ts';

/** Anything that sends statements to the billing database. */
export type Queries = Pick<TenantTransaction, 'query'>;

/** How the use of a type is bound. `none`: the plan has no limit of it, and it is only counted. */
export type AllowanceMode = LimitMode | 'none';

/** A tenant's live subscription, as far as metering needs it. */
export interface MeteredSubscription extends SubscriptionTimes {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly subscription_id: string;
}

/** The columns of a {@link MeteredSubscription}. */
const SUBSCRIPTION_COLUMNS = `s.tenant_id, s.subscription_id, s.current_period_start, s.current_period_end,
  s.billing_cycle_anchor, s.created_at as started_at`;

/** Whether a subscription gives its plan: it is live, and its first payment is done. */
const GIVES_PLAN = `${liveSql('s')} and s.status <> 'incomplete'`;

/** The subscriptions that give some tenants their plans, by tenant. */
export async function liveSubscriptions(
  database: Queries,
  tenantIds: readonly string[],
): Promise<ReadonlyMap<string, MeteredSubscription>> {
  const rows = await database.query<MeteredSubscription>(
    `select ${SUBSCRIPTION_COLUMNS} from user_subscriptions s where s.tenant_id = any($1::text[]) and ${GIVES_PLAN}`,
    [tenantIds],
  );
  return new Map(rows.map((row) => [row.tenant_id, row]));
}

/** A tenant's subscription and plan, as the billing database has them. */
export interface PlanOfTenant {
  /** Undefined on the free plan. */
  readonly subscription: MeteredSubscription | undefined;
  readonly plan: PlanLimits;
  readonly currency: string;
}

const priced = z.object({ ...planLimits.shape, currency: z.string() });

/** The plan of a tenant's subscription; without one, the free plan, or `otherwise`. */
export async function planOfTenant(
  database: Queries,
  tenantId: string,
  otherwise = 'free',
): Promise<PlanOfTenant | undefined> {
  const [row] = await database.query(
    `select ${SUBSCRIPTION_COLUMNS}, p.plan_id, p.plan_type, p.limits, p.limit_policies, p.allowances, p.currency
       from (values (1)) one
       left join user_subscriptions s on s.tenant_id = $1 and ${GIVES_PLAN}
       join billing_plans p on p.plan_id = coalesce(s.plan_id, $2)`,
    [tenantId, otherwise],
  );
  if (row === undefined) return undefined;
  const { currency, ...plan } = priced.parse(row);
  const subscription = row['subscription_id'] === null ? undefined : (row as MeteredSubscription);
  return { subscription, plan, currency };
}

/** What a plan gives of one usage type. */
export interface PlanAllowance {
  readonly usage_type: string;
  readonly reset_period: ResetPeriod;
  readonly per: 'tenant' | 'user';
  readonly limit: number;
  readonly mode: LimitMode;
}

/** All limits and allowances of a plan. */
export function allowancesOf(plan: PlanLimits): PlanAllowance[] {
  const limits = Object.entries(plan.limits).map(([usage_type, limit]): PlanAllowance => ({
    usage_type,
    reset_period: 'monthly',
    per: 'tenant',
    limit,
    mode: limitMode(plan, usage_type),
  }));
  return [...limits, ...plan.allowances.map((allowance) => ({ ...allowance, mode: 'hard' as const }))];
}

/** What tells the allowances of one plan apart. */
export function allowanceKey(allowance: Pick<PlanAllowance, 'usage_type' | 'reset_period' | 'per'>): string {
  return `${allowance.per} ${allowance.reset_period} ${allowance.usage_type}`;
}
