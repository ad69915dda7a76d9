import { setTimeout as delay } from 'node:timers/promises';
import type Stripe from 'stripe';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import type { AuditNote } from '../../../platform/writes/caused-events.ts';
import { findEarlierAnswer } from '../../../platform/writes/idempotency.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { askStripe } from '../stripe/ask-stripe.ts';
import { findOwnSubscription, type OwnSubscription } from '../subscriptions/own-subscription.ts';
import { syncObject } from '../sync/sync-object.ts';
import { viewSubscription } from './read-subscription.ts';
import type { SubscriptionView } from './schemas.ts';

/** A live subscription that is paid at Stripe. */
export interface StripeSubscription extends OwnSubscription {
  readonly stripe_subscription_id: string;
}

/**
 * The tenant's live subscription at Stripe.
 * @throws Problem 409 if it has none.
 */
export async function requireStripeSubscription(transaction: TenantTransaction): Promise<StripeSubscription> {
  const own = await findOwnSubscription(transaction);
  const id = own?.stripe_subscription_id ?? null;
  if (own !== undefined && id !== null) return { ...own, stripe_subscription_id: id };
  throw new Problem('CONFLICT', {
    detail:
      own === undefined
        ? 'The tenant has no subscription: it has the free plan.'
        : 'The subscription is not paid at Stripe: an operator changes it.',
  });
}

/** One change of a subscription at Stripe. */
export interface ChangeAtStripe {
  readonly action: string;
  readonly details: NonNullable<AuditNote['details']>;
  /** Makes the change. Sent again after it was made, it must change nothing more. */
  readonly ask: (stripe: Stripe, own: StripeSubscription) => Promise<void>;
  /** What is written with the audit entry. */
  readonly settle?: (transaction: TenantTransaction) => Promise<void>;
}

/** How long a person waits for the rows after Stripe has made a change. */
const SYNC_MS = 3_000;

/**
 * Changes the tenant's subscription at Stripe, takes in what it is then, and audits that. No transaction waits for Stripe. If the
 * process dies in between, the same request again finds the change made, and does the rest.
 * @throws Problem 409 without a subscription at Stripe, 503 if Stripe does not answer; what `ask` throws.
 */
export async function changeAtStripe(
  call: Call,
  { action, details, ask, settle }: ChangeAtStripe,
): Promise<Reply<200, SubscriptionView>> {
  const { billing } = call.databases;
  const earlier = await findEarlierAnswer<Reply<200, SubscriptionView>>(billing, call, call.idempotency);
  if (earlier !== undefined) return earlier;
  const own = await billing.transaction(requireStripeSubscription);
  await askStripe(call.services.settings, (stripe) => ask(stripe, own));
  await takeIn(call, own.stripe_subscription_id);
  const view = await viewSubscription(call);
  return performWrite(
    call,
    async (transaction) => {
      await settle?.(transaction);
      return {
        reply: ok<SubscriptionView>(view),
        audit: { action, resource_type: 'subscription', resource_id: own.subscription_id, details },
      };
    },
    { database: 'billing', beyondQuota: true },
  );
}

/** Makes the rows of the subscription what Stripe says now. */
async function takeIn(call: Call, stripeId: string): Promise<void> {
  const { services, now } = call;
  const late = new AbortController();
  const synced = askStripe(services.settings, () =>
    syncObject(services, { type: 'subscription', id: stripeId }, now),
  );
  // If the person no longer waits, the sync may still end well; if not, the event of the change comes anyway.
  synced.catch((error: unknown) => log.warn('subscription-not-synced', errorFields(error)));
  const isLate = await Promise.race([
    synced.then(() => false),
    delay(SYNC_MS, true, { signal: late.signal }).catch(() => true),
  ]).finally(() => late.abort());
  if (isLate)
    throw new Problem('DEPENDENCY_UNAVAILABLE', {
      detail: 'Stripe has made the change, and its new state is not known here yet. Send the request again.',
      headers: { 'retry-after': '5' },
    });
}
