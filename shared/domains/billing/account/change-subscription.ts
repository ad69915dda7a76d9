import type Stripe from 'stripe';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { Reply } from '../../../platform/call/reply.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { findPlanOffer } from '../plans/plan-offer.ts';
import { isKeyTaken, onceAtStripe } from '../stripe/ask-stripe.ts';
import { isStripeUnavailable, stripeErrorOf } from '../stripe/client.ts';
import { changeAtStripe } from './at-stripe.ts';
import { changedItems, timeOf, type ChangedItem } from './changed-items.ts';
import type { Change, SubscriptionView } from './schemas.ts';

const HOUR_SECONDS = 60 * 60;
/** How far the clocks of a client, Stripe and this service may differ. */
const SKEW_SECONDS = 60;

/**
 * Moves the tenant's subscription to another plan or cycle, at once. What is left of the paid period is credited, and the difference
 * is charged at once; a cheaper plan leaves a credit for later invoices. Without the payment nothing changes. In a trial nothing is
 * charged. A cancellation that is planned stays.
 *
 * Changes are numbered, and Stripe's Idempotency-Key is the number: of two different changes at once Stripe makes one, and the same
 * change again has no second effect, also if the process died before its answer.
 * @throws Problem 400 for a plan or date that is wrong, 402 if the payment fails, 409 for a plan that is not sold, without a
 * subscription at Stripe, and for a second change at once; 503 if Stripe does not answer.
 */
export async function changeSubscription(call: Call, body: Change): Promise<Reply<200, SubscriptionView>> {
  const { plan, number } = await call.databases.billing.transaction(async (transaction) => ({
    plan: await findPlanOffer(transaction, body),
    number: await readChangeNumber(transaction),
  }));
  return changeAtStripe(call, {
    action: 'billing.subscription_changed',
    details: { plan_id: plan.planId, billing_cycle: plan.billingCycle },
    ask: async (stripe, { stripe_subscription_id: id }) => {
      const subscription = await stripe.subscriptions.retrieve(id);
      const { items } = changedItems(subscription, plan);
      const prorationDate = await readDate(stripe, subscription, body, call.now);
      if (items.length > 0) await sendChange(call, stripe, { id, number, items, prorationDate });
    },
    settle: (transaction) => endChange(call, transaction, number),
  });
}

/** The proration date in seconds. A date of the client's choice in a long period could make a change nearly free. */
async function readDate(
  stripe: Stripe,
  subscription: Stripe.Subscription,
  { proration_date: given }: Change,
  now: Date,
): Promise<number | undefined> {
  if (given === undefined) return undefined;
  const seconds = Math.floor(Date.parse(given) / 1000);
  const latest = await timeOf(stripe, subscription, now);
  if (seconds <= latest + SKEW_SECONDS && seconds >= latest - HOUR_SECONDS) return seconds;
  throw new Problem('INVALID_REQUEST', {
    errors: [{ pointer: '/proration_date', detail: 'must be from a preview of the last hour' }],
  });
}

interface NumberedChange {
  readonly id: string;
  readonly number: number;
  readonly items: ChangedItem[];
  readonly prorationDate: number | undefined;
}

async function sendChange(
  call: Call,
  stripe: Stripe,
  { id, number, items, prorationDate }: NumberedChange,
): Promise<void> {
  const params: Stripe.SubscriptionUpdateParams = {
    items,
    proration_behavior: 'always_invoice',
    payment_behavior: 'error_if_incomplete',
    ...(prorationDate === undefined ? {} : { proration_date: prorationDate }),
  };
  try {
    await onceAtStripe(() =>
      stripe.subscriptions.update(id, params, { idempotencyKey: `change:${id}:${number}` }),
    );
  } catch (error) {
    const found = stripeErrorOf(error);
    // Without an answer the change may have been made: the same number finds that out.
    if (isStripeUnavailable(error) && (found?.statusCode ?? 0) < 500) throw error;
    await call.databases.billing.transaction((transaction) => endChange(call, transaction, number));
    if (isKeyTaken(error))
      throw new Problem('CONFLICT', {
        detail: 'The subscription was changed at the same time. Read it, and send the change again.',
        headers: { 'retry-after': '1' },
      });
    if (found?.code === 'resource_missing' && found.param === undefined)
      throw new Problem('PAYMENT_REQUIRED', {
        detail: 'There is no card to charge, so nothing was changed. Add one in the portal.',
      });
    throw error;
  }
}

async function readChangeNumber(transaction: TenantTransaction): Promise<number> {
  const [row] = await transaction.query<{ change_number: number }>(
    `select change_number from ops.stripe_customers where tenant_id = $1`,
    [transaction.tenantId],
  );
  return row?.change_number ?? 0;
}

/** Stripe has answered the change of this number, so the next change gets the next one. Safe to repeat. */
async function endChange(call: Call, transaction: TenantTransaction, number: number): Promise<void> {
  await transaction.query(
    `update ops.stripe_customers set change_number = change_number + 1, updated_at = $3
      where tenant_id = $1 and change_number = $2`,
    [transaction.tenantId, number, call.now],
  );
}
