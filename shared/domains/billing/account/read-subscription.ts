import { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { ok, Written, type Reply } from '../../../platform/call/reply.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { readUsage } from '../metering/read-usage.ts';
import type { UsageReport } from '../metering/schemas.ts';
import { toDecimal } from '../money.ts';
import { hasHardLimit, planLimits } from '../plans/plan.ts';
import { findOwnSubscription, type OwnSubscription } from '../subscriptions/own-subscription.ts';
import { FREE_PLAN } from '../subscriptions/standing.ts';
import { nextStep } from './next-step.ts';
import type { SubscriptionView } from './schemas.ts';

const planRow = z.object({
  ...planLimits.shape,
  plan_name: z.string(),
  price_monthly: z.number(),
  price_yearly: z.number(),
  currency: z.string(),
});
type PlanRow = z.output<typeof planRow>;

interface Facts {
  readonly own: OwnSubscription | undefined;
  readonly plan: PlanRow;
  readonly retryAt: string | null;
}

/** The tenant's subscription, or its free plan: its state, what happens next, and its limits with their use. */
export async function readSubscription(call: Call): Promise<Reply<200, SubscriptionView>> {
  return ok(await viewSubscription(call));
}

/** The same, for the answers of writes. Not within a transaction: it takes connections of its own. */
export async function viewSubscription(call: Call): Promise<SubscriptionView> {
  const { own, plan, retryAt } = await call.databases.billing.transaction((transaction) =>
    readFacts(call, transaction),
  );
  const usage = await usageOf(call, plan);
  const price = own?.billing_cycle === 'yearly' ? plan.price_yearly : plan.price_monthly;
  const isPaid = own !== undefined && own.stripe_subscription_id !== null;
  const { standing, graceEndsAt } = call.context.billing;
  return {
    plan_id: plan.plan_id,
    plan_name: plan.plan_name,
    plan_type: plan.plan_type,
    subscription_id: own?.subscription_id ?? null,
    status: own?.status ?? 'none',
    billing_cycle: own?.billing_cycle ?? null,
    price: isPaid ? toDecimal(price, plan.currency) : null,
    currency: isPaid ? plan.currency : null,
    current_period_start: own?.current_period_start ?? null,
    current_period_end: own?.current_period_end ?? null,
    trial_start: own?.trial_start ?? null,
    trial_end: own?.trial_end ?? null,
    cancel_at_period_end: own?.cancel_at_period_end ?? false,
    cancel_at: own?.cancel_at ?? null,
    promotional_code: own?.promotional_code ?? null,
    is_managed_by_operator: own !== undefined && !isPaid,
    next: isPaid
      ? nextStep({ ...own, retry_at: retryAt }, call.services.settings.BILLING_GRACE_DAYS, call.now)
      : { event: 'none', at: null },
    standing: {
      standing,
      grace_ends_at: graceEndsAt?.toISOString() ?? null,
      past_due_since: own?.past_due_since ?? null,
    },
    limits: usage.items,
  };
}

/** The use of the plan that is shown: the call's context may be some seconds older than a change of it. */
async function usageOf(call: Call, plan: PlanRow): Promise<UsageReport> {
  const context = { ...call.context, planId: plan.plan_id, hasQuota: hasHardLimit(plan) };
  const { body } = await readUsage({ ...call, context });
  if (body instanceof Written) throw new Error('usage is not read as text');
  return body;
}

/** Without a subscription, and while its first payment is open, the plan is the free one. */
async function readFacts(call: Call, transaction: TenantTransaction): Promise<Facts> {
  const own = await findOwnSubscription(transaction);
  const planId = own === undefined || own.status === 'incomplete' ? FREE_PLAN : own.plan_id;
  const [plan] = await transaction.query(
    `select ${Object.keys(planRow.shape).join(', ')} from billing_plans where plan_id = $1`,
    [planId],
  );
  const [invoice] = await transaction.query<{ retry_at: string }>(
    `select min(next_payment_attempt_at) as retry_at from billing_invoices
      where tenant_id = $1 and status = 'open' and next_payment_attempt_at > $2`,
    [transaction.tenantId, call.now],
  );
  return { own, plan: planRow.parse(plan), retryAt: invoice?.retry_at ?? null };
}
