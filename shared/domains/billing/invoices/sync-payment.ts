import type Stripe from 'stripe';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Mismatch } from '../stripe/mismatches.ts';
import { stripeRowId } from '../stripe/row-id.ts';
import { instantOf } from '../stripe/stripe-shapes.ts';
import { upsertMirror } from '../stripe/upsert-mirror.ts';
import type { RowSync } from './sync-invoice.ts';

/** A payment as Stripe has it: the intent, its newest charge, and the newest dispute of that. */
export interface PaymentAtStripe {
  readonly tenantId: string;
  readonly isErased: boolean;
  readonly intent: Stripe.PaymentIntent;
  readonly charge: Stripe.Charge | undefined;
  readonly dispute: Stripe.Dispute | undefined;
  /** The id of the row of the invoice that it pays, which need not be written yet. */
  readonly invoiceId: string | undefined;
}

type PaymentStatus =
  | 'pending'
  | 'requires_action'
  | 'succeeded'
  | 'failed'
  | 'canceled'
  | 'refunded'
  | 'partially_refunded'
  | 'disputed';

/** While a dispute is open, and when it is lost, the money is gone. An inquiry (`warning_…`) has taken none yet. */
function hasTakenMoney(dispute: Stripe.Dispute | undefined): boolean {
  if (dispute === undefined) return false;
  return !['won', 'prevented'].includes(dispute.status) && !dispute.status.startsWith('warning_');
}

/** Whether a payment's newest attempt failed, and may be made again. */
export function hasFailed(at: PaymentAtStripe): boolean {
  return statusOf(at) === 'failed';
}

/** What became of a payment; undefined for a state that this build does not know. */
function statusOf({ intent, charge, dispute }: PaymentAtStripe): PaymentStatus | undefined {
  switch (intent.status) {
    case 'succeeded':
      if (hasTakenMoney(dispute)) return 'disputed';
      if (charge === undefined || charge.amount_refunded === 0) return 'succeeded';
      return charge.amount_refunded >= charge.amount_captured ? 'refunded' : 'partially_refunded';
    case 'canceled':
      return 'canceled';
    case 'requires_action':
      return 'requires_action';
    case 'requires_payment_method':
      return intent.last_payment_error === null ? 'pending' : 'failed';
    case 'processing':
    case 'requires_capture':
    case 'requires_confirmation':
      return 'pending';
    default:
      return undefined;
  }
}

/** The network's or Stripe's reason for the newest failure. */
export function failureOf({ last_payment_error: error }: Stripe.PaymentIntent): string | undefined {
  return error?.decline_code ?? error?.code ?? error?.type;
}

/** What the card shows of itself; Stripe gives no more than the last four digits. */
function cardOf({ intent, charge }: PaymentAtStripe) {
  const used = charge?.payment_method_details ?? undefined;
  const tried = intent.last_payment_error?.payment_method;
  const card = used?.card ?? tried?.card;
  return {
    payment_method_type: used?.type ?? tried?.type,
    card_brand: card?.brand ?? undefined,
    card_last_four: card?.last4 ?? undefined,
  };
}

/** Makes the row of a payment what Stripe says. */
export async function syncPayment(
  transaction: CrossTenantTransaction,
  at: PaymentAtStripe,
  now: Date,
): Promise<RowSync> {
  const { tenantId, intent, charge, dispute } = at;
  const mismatch = (kind: Mismatch['kind'], details: Mismatch['details']): Mismatch => ({
    kind,
    objectType: 'payment_intent',
    objectId: intent.id,
    tenantId,
    details,
  });
  const createdAt = instantOf(intent.created);
  if (createdAt === undefined)
    return { isWritten: false, mismatches: [mismatch('unreadable', { missing: 'created' })] };
  const status = statusOf(at);
  const isWritten = await upsertMirror(
    transaction,
    {
      insert: 'insert into billing_payments as m',
      key: { tenant_id: tenantId, payment_id: stripeRowId(intent.id, createdAt) },
      createdAt,
      columns: {
        invoice_id: at.invoiceId,
        amount: intent.amount,
        currency: intent.currency.toUpperCase(),
        status: status ?? 'pending',
        failure_code: status === 'failed' ? failureOf(intent) : undefined,
        refunded_amount: Math.min(charge?.amount_refunded ?? 0, intent.amount),
        dispute_status: dispute?.status,
        ...cardOf(at),
        stripe_payment_intent_id: intent.id,
        stripe_charge_id: charge?.id,
        paid_at: intent.status === 'succeeded' ? instantOf(charge?.created) : undefined,
      },
      isErased: at.isErased,
    },
    now,
  );
  return {
    isWritten,
    mismatches: status === undefined ? [mismatch('unknown_status', { status: intent.status })] : [],
  };
}
