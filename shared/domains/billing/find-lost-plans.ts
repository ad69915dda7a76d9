import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { openBilling } from './open-billing.ts';
import { planLimits } from './plans/plan.ts';

/** A tenant and the plan that another database says it has. */
export interface KnownPlan {
  readonly tenantId: string;
  readonly planId: string;
}

/**
 * Those tenants whose plan is paid for by no subscription that billing has. Stripe's subscriptions come back from Stripe, so those of
 * customers of Stripe are left out.
 */
export async function findLostPlans(
  billing: CrossTenantDatabase,
  known: readonly KnownPlan[],
): Promise<KnownPlan[]> {
  const rows = await billing.query<{ tenant_id: string }>(
    `select w.tenant_id from unnest($1::text[], $2::text[]) w (tenant_id, plan_id)
       join billing_plans p on p.plan_id = w.plan_id and p.plan_type <> 'free'
      where not exists (select from user_subscriptions s where s.tenant_id = w.tenant_id)
        and not exists (select from ops.stripe_customers c where c.tenant_id = w.tenant_id and c.stripe_customer_id is not null)`,
    [known.map(({ tenantId }) => tenantId), known.map(({ planId }) => planId)],
  );
  const lost = new Set(rows.map((row) => row.tenant_id));
  return known.filter(({ tenantId }) => lost.has(tenantId));
}

/** Gives a tenant its plan again, from now on. */
export async function openPlanAgain(
  billing: CrossTenantDatabase,
  { tenantId, planId }: KnownPlan,
  now: Date,
): Promise<void> {
  const [row] = await billing.query(
    `select plan_id, plan_type, limits, limit_policies, allowances from billing_plans where plan_id = $1`,
    [planId],
  );
  if (row !== undefined)
    await openBilling(billing, { tenant_id: tenantId, plan: planLimits.parse(row) }, now);
}
