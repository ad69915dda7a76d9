import type Stripe from 'stripe';
import type { CallServices } from '../../../platform/call/call.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { endSession } from '../checkout/stripe-session.ts';
import { isStripeMissing, isStripeUnavailable, stripeInBackground } from '../stripe/client.ts';
import { liveOfErased, openMismatch, subscriptionOfErased } from '../stripe/mismatches.ts';
import { isLive, knownState, liveSql } from '../subscriptions/live-states.ts';
import { noteCancelled } from '../subscriptions/sync-subscription.ts';
import { endNow } from './cancel-subscription.ts';

/** Nobody has more. What is beyond is found by `stripe-reconcile`. */
const EACH_MAX = 1_000;

type Services = Pick<CallServices, 'settings' | 'crossTenant'>;

/** What was ended at Stripe, and what could not be. */
export interface EndedAtStripe {
  subscriptions_cancelled: number;
  checkouts_ended: number;
  /** Subscriptions that go on at Stripe: it refuses to cancel them, or there is no key. They are open mismatches. */
  subscriptions_left: number;
}

/**
 * Marks a tenant as erased here, and ends at Stripe what would go on without it: subscriptions, which are billed, and checkouts, which
 * could still be paid. Safe to repeat: it asks Stripe what is live.
 * @throws what `isStripeUnavailable` knows, if Stripe cannot be asked.
 */
export async function endAtStripe(
  { settings, crossTenant }: Services,
  tenantId: string,
  now: Date,
): Promise<EndedAtStripe> {
  const { billing } = crossTenant;
  // From here on what Stripe says makes no rows of the tenant, and causes no event: nobody would take it.
  await billing.query(
    `update ops.stripe_customers set is_erased = true, updated_at = $2 where tenant_id = $1 and not is_erased`,
    [tenantId, now],
  );
  const ended: EndedAtStripe = { subscriptions_cancelled: 0, checkouts_ended: 0, subscriptions_left: 0 };
  const [left] = await leftAtStripe(billing, tenantId);
  if (left === undefined) return ended;
  const { stripe_customer_id: customer } = left;
  const leave = async (id: string): Promise<void> => {
    await openMismatch(billing, subscriptionOfErased(id, customer), now);
    ended.subscriptions_left += 1;
  };
  if (settings.STRIPE_SECRET_KEY === undefined) {
    for (const id of left.live_subscriptions) await leave(id);
    return ended;
  }
  const stripe = await stripeInBackground(settings);
  // First: a page that is paid makes a subscription.
  for (const session of await list(stripe.checkout.sessions.list({ customer, status: 'open', limit: 100 }))) {
    const { status } = await endSession(stripe, session.id);
    if (status === 'expired') ended.checkouts_ended += 1;
  }
  const subscriptions = await list(stripe.subscriptions.list({ customer, status: 'all', limit: 100 }));
  for (const { id } of subscriptions.filter(({ status }) => isLive(knownState(status) ?? 'incomplete'))) {
    try {
      await endNow(stripe, id, {});
      await noteCancelled(billing, tenantId, id, now);
      ended.subscriptions_cancelled += 1;
    } catch (error) {
      if (isStripeUnavailable(error)) throw error;
      // The erasure must not wait for ever. An operator sees the mismatch, and what is left in the erasure.
      log.warn('subscription-not-cancelled', errorFields(error));
      await leave(id);
    }
  }
  return ended;
}

/** All of a list; none if Stripe does not have the customer any more. */
async function list<T>(found: Stripe.ApiListPromise<T>): Promise<T[]> {
  try {
    return await found.autoPagingToArray({ limit: EACH_MAX });
  } catch (error) {
    if (isStripeMissing(error)) return [];
    throw error;
  }
}

/** A tenant's customer that Stripe still has, with the subscriptions that are live there, as far as the rows here know. */
export interface LeftAtStripe {
  readonly stripe_customer_id: string;
  readonly live_subscriptions: readonly string[];
}

/** What is left of a tenant at Stripe, which an operator has to delete there. */
export async function leftAtStripe(billing: CrossTenantDatabase, tenantId: string): Promise<LeftAtStripe[]> {
  const customers = await billing.query<{ id: string; live: readonly string[] }>(
    `select c.stripe_customer_id as id,
            (select coalesce(json_agg(s.stripe_subscription_id), '[]') from user_subscriptions s
              where s.tenant_id = c.tenant_id and s.stripe_subscription_id is not null
                and (${liveSql('s')} or s.stripe_status not in ('canceled', 'incomplete_expired'))) as live
       from ops.stripe_customers c
      where c.tenant_id = $1 and c.stripe_customer_id is not null and c.customer_deleted_at is null`,
    [tenantId],
  );
  return Promise.all(
    customers.map(async ({ id, live }) => ({
      stripe_customer_id: id,
      live_subscriptions: [...new Set([...live, ...(await liveOfErased(billing, id))])].toSorted(),
    })),
  );
}
