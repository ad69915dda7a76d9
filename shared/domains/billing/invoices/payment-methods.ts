import type Stripe from 'stripe';
import { json, type CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { stripeRowId } from '../stripe/row-id.ts';
import { instantOf } from '../stripe/stripe-shapes.ts';
import { upsertMirror } from '../stripe/upsert-mirror.ts';

/** A customer's payment methods as Stripe has them. Not of an erased tenant: it has none here. */
export interface PaymentMethodsAtStripe {
  readonly tenantId: string;
  readonly methods: readonly Stripe.PaymentMethod[];
  /** The one that pays. */
  readonly defaultId: string | undefined;
}

/** What a row shows of a method: never more than the last four digits, which is all that Stripe gives. */
function columnsOf(method: Stripe.PaymentMethod) {
  const { card } = method;
  const { address } = method.billing_details;
  return {
    type: method.type,
    card_brand: card?.brand,
    card_last_four: card?.last4,
    card_exp_month: card?.exp_month,
    card_exp_year: card?.exp_year,
    billing_address: address === null ? null : json(address),
    is_active: true,
    stripe_payment_method_id: method.id,
  };
}

/** Makes a tenant's payment methods what Stripe says. One that is no longer attached becomes inactive. Returns whether a row changed. */
export async function syncPaymentMethods(
  transaction: CrossTenantTransaction,
  { tenantId, methods, defaultId }: PaymentMethodsAtStripe,
  now: Date,
): Promise<boolean> {
  const ids = methods.map(({ id }) => id);
  const isAttached = defaultId !== undefined && ids.includes(defaultId);
  // First, as a tenant has one default at any moment.
  const ended = await transaction.query(
    `update payment_methods
        set is_default = false, is_active = stripe_payment_method_id = any($2::text[]), synced_at = $4, updated_at = $4,
            version = version + 1
      where tenant_id = $1
        and ((is_default and stripe_payment_method_id is distinct from $3)
          or (is_active and stripe_payment_method_id <> all($2::text[])))
      returning 1`,
    [tenantId, ids, isAttached ? defaultId : null, now],
  );
  let isWritten = ended.length > 0;
  for (const method of methods) {
    const createdAt = instantOf(method.created);
    if (createdAt === undefined) continue;
    const key = { tenant_id: tenantId, payment_method_id: stripeRowId(method.id, createdAt) };
    const columns = { ...columnsOf(method), is_default: method.id === defaultId };
    const isNew = await upsertMirror(
      transaction,
      { insert: 'insert into payment_methods as m', key, createdAt, columns, isErased: false },
      now,
    );
    isWritten ||= isNew;
  }
  return isWritten;
}

/** Whether a method is the one that pays, as far as the rows know; without a method, whether none is. */
export async function isDefaultMethod(
  transaction: CrossTenantTransaction,
  tenantId: string,
  stripeId: string | undefined,
): Promise<boolean> {
  const [row] = await transaction.query<{ id: string }>(
    `select stripe_payment_method_id as id from payment_methods where tenant_id = $1 and is_default`,
    [tenantId],
  );
  return row?.id === stripeId;
}

/** The customer of a method that is no longer attached, by its row. */
export async function findFormerCustomer(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  stripeId: string,
): Promise<string | undefined> {
  const [row] = await transaction.query<{ stripe_customer_id: string | null }>(
    `select c.stripe_customer_id from payment_methods m join ops.stripe_customers c on c.tenant_id = m.tenant_id
      where m.stripe_payment_method_id = $1 and m.is_active`,
    [stripeId],
  );
  return row?.stripe_customer_id ?? undefined;
}
