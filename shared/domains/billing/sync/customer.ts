import type Stripe from 'stripe';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { findFormerCustomer, syncPaymentMethods } from '../invoices/payment-methods.ts';
import { liveOfErased } from '../stripe/mismatches.ts';
import { customerOf, idOf } from '../stripe/stripe-shapes.ts';
import { liveSql } from '../subscriptions/live-states.ts';
import { findOwner, findTenant } from './find-tenant.ts';
import { CALL, locked, orMissing, type Step, type Work } from './work.ts';

/** Nobody has more; a person chooses from them in a list. */
const METHODS_MAX = 1_000;

/** Makes what is known of a customer what Stripe says: whose it is, and its payment methods. */
export function syncCustomer(work: Work, id: string): Promise<Step> {
  const ref = { type: 'customer', id };
  const { stripe, now } = work;
  return locked(work, ref, async (transaction) => {
    const customer = await orMissing(stripe.customers.retrieve(id, { expand: ['subscriptions'] }, CALL));
    if (customer === undefined || customer.deleted === true) return endCustomer(work, transaction, id);
    const methods = await stripe.customers
      .listPaymentMethods(id, { limit: 100 }, CALL)
      .autoPagingToArray({ limit: METHODS_MAX });
    const owner = await findOwner(work, transaction, ref, customer);
    if (owner.tenantId === undefined) return owner.step;
    const { tenantId, isErased } = owner;
    if (isErased) return { outcome: 'unchanged', tenantId, isErased };
    const defaultId = findDefault(customer);
    const isWritten = await syncPaymentMethods(transaction, { tenantId, methods, defaultId }, now);
    return { outcome: isWritten ? 'written' : 'unchanged', tenantId };
  });
}

/** The method that pays: a subscription's own, else the customer's. Of several subscriptions, the oldest one's. */
function findDefault(customer: Stripe.Customer): string | undefined {
  const ofSubscriptions = (customer.subscriptions?.data ?? [])
    .toSorted((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1))
    .map((subscription) => idOf(subscription.default_payment_method));
  return (
    ofSubscriptions.find((method) => method !== undefined) ??
    idOf(customer.invoice_settings.default_payment_method)
  );
}

/** Stripe has deleted a customer, and with it what it subscribed to. Its tenant keeps it: it says whose the older invoices are. */
async function endCustomer(work: Work, transaction: CrossTenantTransaction, id: string): Promise<Step> {
  const tenant = await findTenant(transaction, id);
  if (tenant === undefined) return { outcome: 'gone' };
  const { tenantId, isErased } = tenant;
  await transaction.query(
    `update ops.stripe_customers set customer_deleted_at = $2, updated_at = $2
      where stripe_customer_id = $1 and customer_deleted_at is null`,
    [id, work.now],
  );
  if (isErased) {
    const left = await liveOfErased(transaction, id);
    return {
      outcome: 'gone',
      tenantId,
      isErased,
      next: left.map((one) => ({ type: 'subscription', id: one })),
    };
  }
  await syncPaymentMethods(transaction, { tenantId, methods: [], defaultId: undefined }, work.now);
  const live = await transaction.query<{ id: string }>(
    `select stripe_subscription_id as id from user_subscriptions
      where tenant_id = $1 and stripe_customer_id = $2 and stripe_subscription_id is not null
        and (${liveSql()} or stripe_status not in ('canceled', 'incomplete_expired'))`,
    [tenantId, id],
  );
  return {
    outcome: 'gone',
    tenantId,
    mismatches: [{ kind: 'customer_deleted', objectType: 'customer', objectId: id, tenantId, details: {} }],
    next: live.map((row) => ({ type: 'subscription', id: row.id })),
  };
}

/** The customer of a payment method. One that is detached has none any more: its row says whose it was. */
export async function findMethodsCustomer(
  { stripe, services }: Work,
  id: string,
): Promise<string | undefined> {
  const method = await orMissing(stripe.paymentMethods.retrieve(id, {}, CALL));
  return customerOf(method) ?? (await findFormerCustomer(services.crossTenant.billing, id));
}
