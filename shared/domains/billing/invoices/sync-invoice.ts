import type Stripe from 'stripe';
import { json, type CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Mismatch } from '../stripe/mismatches.ts';
import { stripeRowId } from '../stripe/row-id.ts';
import { discountOf, instantOf, lineOf, paymentOf, subscriptionOf, taxOf } from '../stripe/stripe-shapes.ts';
import { upsertMirror } from '../stripe/upsert-mirror.ts';

const STATUSES = ['draft', 'open', 'paid', 'void', 'uncollectible'];
/** What an invoice in an unknown state counts as: nothing is owed, and nothing is paid. */
const LEAST = 'draft';

/** The id of an invoice's row. */
export function invoiceRowId(invoice: Pick<Stripe.Invoice, 'id' | 'created'>): string | undefined {
  const created = instantOf(invoice.created);
  return created === undefined ? undefined : stripeRowId(invoice.id, created);
}

/** Lines as the row keeps them. Amounts are minor units of the invoice's currency. */
function toLineItems(lines: readonly unknown[]) {
  return lines.flatMap((one) => {
    const line = lineOf(one);
    if (line === undefined) return [];
    return [
      {
        id: line.id,
        description: line.description ?? null,
        amount: line.amount,
        quantity: line.quantity ?? null,
        stripe_price_id: line.priceId ?? null,
        proration: line.isProration,
        period_start: line.periodStart?.toISOString() ?? null,
        period_end: line.periodEnd?.toISOString() ?? null,
      },
    ];
  });
}

/** What the sync of an invoice or a payment has done. */
export interface RowSync {
  readonly isWritten: boolean;
  readonly mismatches: readonly Mismatch[];
}

/** An invoice as Stripe has it, and whose it is. */
export interface InvoiceAtStripe {
  readonly tenantId: string;
  readonly isErased: boolean;
  readonly invoice: Stripe.Invoice;
  /** All of its lines: the object itself has the first ten. */
  readonly lines: readonly unknown[];
  /** The id of its subscription's row, which need not be written yet. Undefined if it bills none. */
  readonly subscriptionId: string | undefined;
}

/** Makes the row of an invoice what Stripe says. */
export async function syncInvoice(
  transaction: CrossTenantTransaction,
  { tenantId, isErased, invoice, lines, subscriptionId }: InvoiceAtStripe,
  now: Date,
): Promise<RowSync> {
  const createdAt = instantOf(invoice.created);
  const rowId = invoiceRowId(invoice);
  const mismatch = (kind: Mismatch['kind'], details: Mismatch['details']): Mismatch => ({
    kind,
    objectType: 'invoice',
    objectId: invoice.id,
    tenantId,
    details,
  });
  if (createdAt === undefined || rowId === undefined)
    return { isWritten: false, mismatches: [mismatch('unreadable', { missing: 'created' })] };
  const isKnown = STATUSES.includes(invoice.status ?? '');
  const stripeSubscription = subscriptionOf(invoice);
  const transitions = invoice.status_transitions;
  const isWritten = await upsertMirror(
    transaction,
    {
      insert: 'insert into billing_invoices as m',
      key: { tenant_id: tenantId, invoice_id: rowId },
      createdAt,
      columns: {
        subscription_id: subscriptionId,
        invoice_number: invoice.number,
        status: isKnown ? invoice.status : LEAST,
        billing_reason: invoice.billing_reason,
        currency: invoice.currency.toUpperCase(),
        subtotal: invoice.subtotal,
        discount: discountOf(invoice),
        tax: taxOf(invoice),
        total: invoice.total,
        amount_due: invoice.amount_due,
        amount_paid: invoice.amount_paid,
        amount_remaining: invoice.amount_remaining,
        line_items: json(toLineItems(lines)),
        period_start: instantOf(invoice.period_start),
        period_end: instantOf(invoice.period_end),
        due_at: instantOf(invoice.due_date),
        finalized_at: instantOf(transitions.finalized_at),
        paid_at: instantOf(transitions.paid_at),
        voided_at: instantOf(transitions.voided_at),
        attempt_count: invoice.attempt_count,
        next_payment_attempt_at: instantOf(invoice.next_payment_attempt),
        hosted_invoice_url: invoice.hosted_invoice_url,
        invoice_pdf: invoice.invoice_pdf,
        stripe_invoice_id: invoice.id,
        stripe_subscription_id: stripeSubscription,
        stripe_payment_intent_id: paymentOf(invoice),
      },
      isErased,
    },
    now,
  );
  return {
    isWritten,
    mismatches: isKnown ? [] : [mismatch('unknown_status', { status: invoice.status ?? null })],
  };
}

/** Stripe no longer has an invoice, as it was a draft that somebody deleted: its row is void. Returns its tenant, if there is a row. */
export async function voidMissingInvoice(
  transaction: CrossTenantTransaction,
  stripeId: string,
  now: Date,
): Promise<string | undefined> {
  const [row] = await transaction.query<{ tenant_id: string }>(
    `update billing_invoices set status = 'void', voided_at = coalesce(voided_at, $2), amount_remaining = 0,
            next_payment_attempt_at = null, synced_at = $2, updated_at = $2, version = version + 1
      where stripe_invoice_id = $1 and status <> 'void' returning tenant_id`,
    [stripeId, now],
  );
  if (row !== undefined) return row.tenant_id;
  const [before] = await transaction.query<{ tenant_id: string }>(
    `select tenant_id from billing_invoices where stripe_invoice_id = $1`,
    [stripeId],
  );
  return before?.tenant_id;
}
