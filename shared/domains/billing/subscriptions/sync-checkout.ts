import type Stripe from 'stripe';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { releaseUse, settleUse } from '../promotions/redemption.ts';
import { instantOf, metadataOf } from '../stripe/stripe-shapes.ts';

/** A checkout as Stripe has it, and whose it is. */
export interface CheckoutAtStripe {
  readonly tenantId: string;
  readonly session: Stripe.Checkout.Session;
  /** The id of the row of the subscription that it led to, which need not be written yet. */
  readonly subscriptionId: string | undefined;
}

/**
 * Ends the row of a checkout as Stripe says, and uses or gives back its promotional code. Who pays after this service had given the
 * checkout up has paid all the same. Returns whether anything changed.
 */
export async function syncCheckout(
  transaction: CrossTenantTransaction,
  { tenantId, session, subscriptionId }: CheckoutAtStripe,
  now: Date,
): Promise<boolean> {
  const { status } = session;
  if (status !== 'complete' && status !== 'expired') return false;
  // Also by our own id: the process can die between Stripe's answer and the commit of the session's id.
  const rows = await transaction.query<{ checkout_id: string; promotional_code: string | null }>(
    `select checkout_id, promotional_code from ops.checkout_sessions
      where tenant_id = $1 and (stripe_session_id = $2 or checkout_id::text = $3) for update`,
    [tenantId, session.id, metadataOf(session, 'checkout_id') ?? ''],
  );
  const [row] = rows;
  if (row === undefined) return false;
  const ended = await transaction.query(
    `update ops.checkout_sessions
        set status = $3, stripe_session_id = coalesce(stripe_session_id, $4), expires_at = coalesce(expires_at, $5)
      where tenant_id = $1 and checkout_id = $2 and status <> $3 and status <> 'complete' returning 1`,
    [tenantId, row.checkout_id, status, session.id, instantOf(session.expires_at) ?? null],
  );
  if (status === 'expired') {
    const isGivenBack = await releaseUse(transaction, { tenantId, checkoutId: row.checkout_id }, now);
    return ended.length > 0 || isGivenBack;
  }
  const code = metadataOf(session, 'promotional_code') ?? row.promotional_code;
  if (code !== null && subscriptionId !== undefined && ended.length > 0)
    await settleUse(transaction, { tenantId, code, subscriptionId, ...appliedOf(session) }, now);
  return ended.length > 0;
}

/** What the code took off the first payment, in minor units. */
function appliedOf({ total_details: totals, currency }: Stripe.Checkout.Session) {
  if (totals === null || currency === null) return {};
  return { discountApplied: totals.amount_discount, currency };
}
