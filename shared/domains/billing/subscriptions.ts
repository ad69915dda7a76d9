import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { newId } from '../../platform/ids/ids.ts';
import { ensureAllowances } from './free-tier.ts';
import { isFreePlan } from './plans.ts';

/** A tenant has at most one subscription in these states. The unique index has the same list. */
const LIVE_STATES = ['active', 'trialing', 'past_due', 'paused', 'unpaid', 'incomplete'] as const;

/** SQL that is true for a live subscription. Without an alias, it is the condition of the unique index. */
export function liveSql(alias?: string): string {
  const column = alias === undefined ? 'status' : `${alias}.status`;
  return `${column} in (${LIVE_STATES.map((state) => `'${state}'`).join(', ')})`;
}

/** Whether there is an active plan of this id. */
export async function planExists(billing: CrossTenantDatabase, planId: string): Promise<boolean> {
  const plans = await billing.query(`select from billing_plans where plan_id = $1 and is_active`, [planId]);
  return plans.length > 0;
}

/**
 * Gives a new tenant its plan: the free allowances and, for a paid plan, one live subscription. Safe to repeat: it
 * corrects what an interrupted attempt with another plan left.
 */
export async function openBilling(
  billing: CrossTenantDatabase,
  { tenant_id: tenantId, plan_id: planId }: { readonly tenant_id: string; readonly plan_id: string },
  now: Date,
): Promise<void> {
  await ensureAllowances(billing, tenantId, now);
  await billing.query(
    `update user_subscriptions set status = 'canceled', updated_at = $3, version = version + 1
      where tenant_id = $1 and plan_id <> $2 and ${liveSql()}`,
    [tenantId, planId, now],
  );
  if (isFreePlan(planId)) return;
  await billing.query(
    `insert into user_subscriptions (tenant_id, subscription_id, plan_id, status, current_period_start,
       current_period_end, created_at, updated_at)
     values ($1, $2, $3, 'active', $4, $4::timestamptz + interval '1 month', $4, $4)
     on conflict (tenant_id) where ${liveSql()} do nothing`,
    [tenantId, newId(now), planId, now],
  );
}
