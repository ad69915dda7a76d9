import { z } from 'zod';
import type { BillingStanding } from '../../../platform/auth/tenant-context.ts';
import type { Settings } from '../../../platform/config/settings.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { addDays } from '../../../platform/time/clock.ts';
import { hasHardLimit, planLimits } from '../plans/plan.ts';
import { liveSql } from './live-states.ts';

/** The plan of a tenant that has bought none. Every deployment has it. */
export const FREE_PLAN = 'free';

/** What the standing of a tenant depends on. */
export interface StandingFacts {
  readonly status: string;
  /** When the subscription first failed to be paid; null while it is paid. */
  readonly pastDueSince: Date | null;
  /** Null for a subscription that an operator made with the tenant. Nobody is asked to pay for it. */
  readonly stripeSubscriptionId: string | null;
}

const GOOD: BillingStanding = { standing: 'good', graceEndsAt: null };
const READ_ONLY: BillingStanding = { standing: 'read_only', graceEndsAt: null };

/**
 * What a tenant may do, by its live subscription; undefined if it has none. After the first failed payment everything works for
 * `graceDays`, also if Stripe gives up earlier: the tenant was told so. A paused subscription is a trial that ended without a
 * card, so there is no grace. A state that this build does not know reads only.
 */
export function standingOf(
  subscription: StandingFacts | undefined,
  graceDays: number,
  now: Date,
): BillingStanding {
  if (subscription === undefined || subscription.stripeSubscriptionId === null) return GOOD;
  switch (subscription.status) {
    case 'active':
    case 'trialing':
    case 'incomplete': // It is not paid yet, so it gives no plan. What is free works as before.
      return GOOD;
    case 'past_due':
    case 'unpaid': {
      if (subscription.pastDueSince === null) return READ_ONLY;
      const graceEndsAt = addDays(subscription.pastDueSince, graceDays);
      return now < graceEndsAt ? { standing: 'grace', graceEndsAt } : READ_ONLY;
    }
    default:
      return READ_ONLY;
  }
}

/** What other domains keep of a tenant's billing. */
export interface TenantBilling {
  readonly plan_id: string;
  /** Whether a limit of the plan refuses what is beyond it. */
  readonly has_quota: boolean;
  readonly standing: BillingStanding['standing'];
  /** Null unless the standing is `grace`. */
  readonly grace_ends_at: Date | null;
}

const billingRow = z.object({
  tenant_id: z.string(),
  subscription: z
    .object({
      status: z.string(),
      past_due_since: z.coerce.date().nullable(),
      stripe_subscription_id: z.string().nullable(),
    })
    .nullable(),
  plan: planLimits,
});

/**
 * What is true of tenants' billing now, by tenant. A tenant without a live subscription has the free plan, and so has one whose
 * first payment is still open. A plan that is no longer sold stays the plan of those who have it.
 */
export async function tenantBilling(
  billing: CrossTenantDatabase,
  tenantIds: readonly string[],
  settings: Pick<Settings, 'BILLING_GRACE_DAYS'>,
  now: Date,
): Promise<ReadonlyMap<string, TenantBilling>> {
  const rows = await billing.query(
    `select w.tenant_id,
            case when s.status is not null then json_build_object('status', s.status, 'past_due_since', s.past_due_since,
              'stripe_subscription_id', s.stripe_subscription_id) end as subscription,
            json_build_object('plan_id', p.plan_id, 'plan_type', p.plan_type, 'limits', p.limits,
              'limit_policies', p.limit_policies, 'allowances', p.allowances) as plan
       from unnest($1::text[]) w (tenant_id)
       left join user_subscriptions s on s.tenant_id = w.tenant_id and ${liveSql('s')}
       join billing_plans p on p.plan_id = case when s.status is null or s.status = 'incomplete' then $2 else s.plan_id end`,
    [tenantIds, FREE_PLAN],
  );
  return new Map(
    rows.map((row) => {
      const { tenant_id: tenantId, subscription, plan } = billingRow.parse(row);
      const facts: StandingFacts | undefined =
        subscription === null
          ? undefined
          : {
              status: subscription.status,
              pastDueSince: subscription.past_due_since,
              stripeSubscriptionId: subscription.stripe_subscription_id,
            };
      const { standing, graceEndsAt } = standingOf(facts, settings.BILLING_GRACE_DAYS, now);
      return [
        tenantId,
        { plan_id: plan.plan_id, has_quota: hasHardLimit(plan), standing, grace_ends_at: graceEndsAt },
      ];
    }),
  );
}
