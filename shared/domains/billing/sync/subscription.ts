import type Stripe from 'stripe';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { addToOutbox } from '../../../platform/writes/outbox.ts';
import { adjustAllowances } from '../metering/adjust-allowances.ts';
import { isDefaultMethod } from '../invoices/payment-methods.ts';
import { idOf, instantOf } from '../stripe/stripe-shapes.ts';
import { subscriptionOfErased, type Mismatch } from '../stripe/mismatches.ts';
import { billingChanged } from '../subscriptions/billing-changed.ts';
import { isLive, knownState } from '../subscriptions/live-states.ts';
import { endMissingSubscription, syncSubscription } from '../subscriptions/sync-subscription.ts';
import { findOwner } from './find-tenant.ts';
import { CALL, locked, orMissing, type Step, type Work } from './work.ts';

/** Makes a tenant's subscription what Stripe says. */
export function syncSubscriptionRow(work: Work, id: string): Promise<Step> {
  const ref = { type: 'subscription', id };
  const { stripe, now } = work;
  return locked(work, ref, async (transaction) => {
    const subscription = await orMissing(
      stripe.subscriptions.retrieve(id, { expand: ['discounts', 'customer'] }, CALL),
    );
    if (subscription === undefined) return end(work, transaction, id);
    const unpaidSince = await findUnpaidSince(work, subscription);
    const owner = await findOwner(work, transaction, ref, subscription);
    if (owner.tenantId === undefined) return owner.step;
    const { tenantId, customerId, isErased } = owner;
    if (isErased)
      return { outcome: 'unchanged', tenantId, isErased, mismatches: stillLive(subscription, customerId) };
    const sync = await syncSubscription(
      transaction,
      { tenantId, customerId, subscription, unpaidSince },
      now,
    );
    const entries = await tell(work, transaction, tenantId, sync.changesBilling);
    const next = await findDefaultCard(transaction, { tenantId, customerId, subscription });
    // Last: batches of the tenant's usage wait for it until the commit.
    if (sync.isWritten) await adjustAllowances(transaction, tenantId, now);
    return {
      outcome: sync.isWritten ? 'written' : 'unchanged',
      tenantId,
      mismatches: sync.mismatches,
      entries,
      next,
    };
  });
}

async function end(work: Work, transaction: CrossTenantTransaction, id: string): Promise<Step> {
  const ended = await endMissingSubscription(transaction, id, work.now);
  if (ended === undefined) return { outcome: 'gone' };
  const { tenantId, changesBilling } = ended;
  const entries = await tell(work, transaction, tenantId, changesBilling);
  await adjustAllowances(transaction, tenantId, work.now);
  return { outcome: 'gone', tenantId, entries };
}

/** An erased tenant has no subscription here. One that is live at Stripe goes on being paid, and an operator must know. */
function stillLive({ id, status }: Stripe.Subscription, customerId: string): Mismatch[] {
  return isLive(knownState(status) ?? 'incomplete') ? [subscriptionOfErased(id, customerId)] : [];
}

async function tell(
  { now }: Work,
  transaction: CrossTenantTransaction,
  tenantId: string,
  changesBilling: boolean,
): Promise<Step['entries']> {
  if (!changesBilling) return [];
  const entry = billingChanged(tenantId, now);
  await addToOutbox(transaction, [entry]);
  return [entry];
}

/**
 * Since when a payment of the subscription is missing: when the oldest of its open invoices became due. Stripe's own times, not
 * ours: an event that comes late, or not at all, must not make the grace longer.
 */
async function findUnpaidSince(
  { stripe }: Work,
  { id, status }: Stripe.Subscription,
): Promise<Date | undefined> {
  if (status !== 'past_due' && status !== 'unpaid') return undefined;
  const { data } = await stripe.invoices.list({ subscription: id, status: 'open', limit: 100 }, CALL);
  const times = data.flatMap(
    (invoice) => instantOf(invoice.status_transitions.finalized_at) ?? instantOf(invoice.created) ?? [],
  );
  return times.length === 0 ? undefined : new Date(Math.min(...times.map((time) => time.getTime())));
}

/**
 * A subscription may have a card of its own, which pays until the subscription ends. No event of the customer tells so: its cards
 * are synced too if the one that pays is not their default yet.
 */
async function findDefaultCard(
  transaction: CrossTenantTransaction,
  {
    tenantId,
    customerId,
    subscription,
  }: { readonly tenantId: string; readonly customerId: string; readonly subscription: Stripe.Subscription },
): Promise<Step['next']> {
  const { customer } = subscription;
  if (typeof customer === 'string' || customer.deleted === true) return [];
  const own = subscription.ended_at === null ? idOf(subscription.default_payment_method) : undefined;
  const method = own ?? idOf(customer.invoice_settings.default_payment_method);
  const isDefault = await isDefaultMethod(transaction, tenantId, method);
  return isDefault ? [] : [{ type: 'customer', id: customerId }];
}
