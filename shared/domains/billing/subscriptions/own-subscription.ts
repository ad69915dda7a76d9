import { z } from 'zod';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { liveSql } from './live-states.ts';

const subscriptionRow = z.object({
  subscription_id: z.string(),
  plan_id: z.string(),
  status: z.string(),
  billing_cycle: z.enum(['monthly', 'yearly']),
  current_period_start: z.string(),
  current_period_end: z.string(),
  trial_start: z.string().nullable(),
  trial_end: z.string().nullable(),
  cancel_at_period_end: z.boolean(),
  cancel_at: z.string().nullable(),
  canceled_at: z.string().nullable(),
  past_due_since: z.string().nullable(),
  promotional_code: z.string().nullable(),
  stripe_subscription_id: z.string().nullable(),
});

/** A tenant's live subscription. Without a Stripe id, an operator made it together with the tenant. */
export type OwnSubscription = z.output<typeof subscriptionRow>;

/** The tenant's live subscription; undefined if it has none. */
export async function findOwnSubscription(
  transaction: TenantTransaction,
): Promise<OwnSubscription | undefined> {
  const [row] = await transaction.query(
    `select ${Object.keys(subscriptionRow.shape).join(', ')} from user_subscriptions
      where tenant_id = $1 and ${liveSql()}`,
    [transaction.tenantId],
  );
  return row === undefined ? undefined : subscriptionRow.parse(row);
}

/** Whether the tenant ever had a subscription at Stripe. A plan's trial is for its first one. */
export async function hadSubscription(transaction: TenantTransaction): Promise<boolean> {
  const rows = await transaction.query(
    `select 1 from user_subscriptions
      where tenant_id = $1 and stripe_subscription_id is not null and status <> 'incomplete_expired' limit 1`,
    [transaction.tenantId],
  );
  return rows.length > 0;
}
