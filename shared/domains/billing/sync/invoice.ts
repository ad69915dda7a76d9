import type Stripe from 'stripe';
import { syncInvoice, voidMissingInvoice } from '../invoices/sync-invoice.ts';
import { stripeRowId } from '../stripe/row-id.ts';
import { instantOf, invoiceOf, isDeleted, paymentIntentsOf } from '../stripe/stripe-shapes.ts';
import { findOwner, isErasedHere } from './find-tenant.ts';
import { CALL, isUnwanted, locked, orMissing, type Step, type Work } from './work.ts';

/** No invoice here has more; what is beyond is not kept in its row. */
const LINES_MAX = 1_000;

/** Makes the row of an invoice what Stripe says. Its payments follow, each under its own lock. */
export function syncInvoiceRow(work: Work, id: string): Promise<Step> {
  const ref = { type: 'invoice', id };
  const { stripe, now } = work;
  return locked(work, ref, async (transaction) => {
    const expand = ['payments', 'parent.subscription_details.subscription'];
    const invoice = await orMissing(stripe.invoices.retrieve(id, { expand }, CALL));
    if (invoice === undefined || isDeleted(invoice)) {
      const tenantId = await voidMissingInvoice(transaction, id, now);
      const isErased = tenantId !== undefined && (await isErasedHere(transaction, tenantId));
      return { outcome: 'gone', tenantId, isErased };
    }
    const lines = await listLines(work, invoice);
    const owner = await findOwner(work, transaction, ref, invoice);
    if (owner.tenantId === undefined) return owner.step;
    const { tenantId, isErased } = owner;
    if (isErased && isUnwanted(work, invoice)) return { outcome: 'unchanged', tenantId, isErased };
    const subscriptionId = subscriptionRowId(invoice);
    const sync = await syncInvoice(transaction, { tenantId, isErased, invoice, lines, subscriptionId }, now);
    return {
      outcome: sync.isWritten ? 'written' : 'unchanged',
      tenantId,
      isErased,
      mismatches: sync.mismatches,
      next: paymentIntentsOf(invoice).map((intent) => ({ type: 'payment_intent', id: intent })),
    };
  });
}

function subscriptionRowId({ parent }: Stripe.Invoice): string | undefined {
  const subscription = parent?.subscription_details?.subscription;
  if (subscription === undefined || typeof subscription === 'string') return undefined;
  const created = instantOf(subscription.created);
  return created === undefined ? undefined : stripeRowId(subscription.id, created);
}

async function listLines({ stripe }: Work, invoice: Stripe.Invoice): Promise<readonly unknown[]> {
  if (!invoice.lines.has_more) return invoice.lines.data;
  return stripe.invoices
    .listLineItems(invoice.id, { limit: 100 }, CALL)
    .autoPagingToArray({ limit: LINES_MAX });
}

/** The invoice that an `invoice_payment` pays. */
export async function findPaidInvoice({ stripe }: Work, id: string): Promise<string | undefined> {
  return invoiceOf(await orMissing(stripe.invoicePayments.retrieve(id, {}, CALL)));
}
