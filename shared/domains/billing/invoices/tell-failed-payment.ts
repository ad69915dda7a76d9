import { AUDIT_RECORDED, newEvent, type AuditData } from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { auditEventId } from '../../../platform/writes/event-cause.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import { stripeRowId } from '../stripe/row-id.ts';
import { instantOf } from '../stripe/stripe-shapes.ts';
import { failureOf, hasFailed, type PaymentAtStripe } from './sync-payment.ts';

/** The act in the audit trail. Webhooks tell it on. */
const PAYMENT_FAILED = 'payment.failed';

/**
 * Tells that a payment failed, in the transaction of its row: the tenant's audit trail has an entry for each charge that failed.
 * Its identity is derived from the charge, so that another sync of the same failure tells nothing new.
 */
export async function tellFailedPayment(
  transaction: CrossTenantTransaction,
  at: PaymentAtStripe,
  now: Date,
): Promise<readonly OutboxEntry[]> {
  const { tenantId, intent, charge } = at;
  const createdAt = instantOf(intent.created);
  if (createdAt === undefined || !hasFailed(at)) return [];
  const paymentId = stripeRowId(intent.id, createdAt);
  const failedAt = instantOf(charge?.created) ?? createdAt;
  const data: AuditData = {
    tenant_id: tenantId,
    actor: 'service:stripe-events',
    action: PAYMENT_FAILED,
    resource_type: 'payment',
    resource_id: paymentId,
    outcome: 'failure',
    details: {
      invoice_id: at.invoiceId ?? null,
      amount: intent.amount,
      currency: intent.currency.toUpperCase(),
      failure_code: failureOf(intent) ?? null,
    },
  };
  const cause = { tenantId, at: failedAt, of: paymentId, act: `failed ${charge?.id ?? ''}` };
  // Stripe's test clocks run ahead of ours, and the trail takes nothing of the future.
  const toldAt = failedAt > now ? now : failedAt;
  const event = newEvent(AUDIT_RECORDED, data, toldAt, auditEventId(cause, PAYMENT_FAILED));
  const entry = newEntry('billing', tenantId, [event], now);
  await addToOutbox(transaction, [entry]);
  return [entry];
}
