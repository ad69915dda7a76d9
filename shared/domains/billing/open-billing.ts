import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { newId } from '../../platform/ids/ids.ts';
import { adjustAllowances } from './metering/adjust-allowances.ts';
import type { PlanLimits } from './plans/plan.ts';
import { liveSql } from './subscriptions/live-states.ts';

/**
 * Gives a new tenant its plan: one live subscription, unless the plan is free, and the allowances of the plan. Safe to repeat: it
 * corrects what an interrupted attempt with another plan left.
 */
export async function openBilling(
  billing: CrossTenantDatabase,
  {
    tenant_id: tenantId,
    plan,
  }: { readonly tenant_id: string; readonly plan: Pick<PlanLimits, 'plan_id' | 'plan_type'> },
  now: Date,
): Promise<void> {
  await billing.query(
    `update user_subscriptions set status = 'canceled', updated_at = $3, version = version + 1
      where tenant_id = $1 and plan_id <> $2 and ${liveSql()}`,
    [tenantId, plan.plan_id, now],
  );
  if (plan.plan_type !== 'free')
    await billing.query(
      `insert into user_subscriptions (tenant_id, subscription_id, plan_id, status, current_period_start,
         current_period_end, created_at, updated_at)
       values ($1, $2, $3, 'active', $4, $4::timestamptz + interval '1 month', $4, $4)
       on conflict (tenant_id) where ${liveSql()} do nothing`,
      [tenantId, newId(now), plan.plan_id, now],
    );
  await billing.transaction((transaction) => adjustAllowances(transaction, tenantId, now));
}
