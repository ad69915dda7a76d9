import type Stripe from 'stripe';
import { invoiceRowId } from '../invoices/sync-invoice.ts';
import { syncPayment } from '../invoices/sync-payment.ts';
import { tellFailedPayment } from '../invoices/tell-failed-payment.ts';
import { isDeleted, paymentIntentOf } from '../stripe/stripe-shapes.ts';
import { findOwner } from './find-tenant.ts';
import { CALL, isUnwanted, locked, orMissing, type StripeRef, type Step, type Work } from './work.ts';

/** Makes the row of a payment what Stripe says: its intent, the newest charge, refunds and the newest dispute. */
export function syncPaymentRow(work: Work, id: string): Promise<Step> {
  const ref = { type: 'payment_intent', id };
  const { stripe, now } = work;
  return locked(work, ref, async (transaction) => {
    const intent = await orMissing(stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] }, CALL));
    if (intent === undefined) return { outcome: 'gone' };
    const { latest_charge: latest } = intent;
    const charge = latest === null || typeof latest === 'string' ? undefined : latest;
    const [dispute, invoiceId] = await Promise.all([findDispute(work, charge), findInvoiceId(work, id)]);
    const owner = await findOwner(work, transaction, ref, intent);
    if (owner.tenantId === undefined) return owner.step;
    const { tenantId, isErased } = owner;
    if (isErased && isUnwanted(work, intent)) return { outcome: 'unchanged', tenantId, isErased };
    const payment = { tenantId, isErased, intent, charge, dispute, invoiceId };
    const sync = await syncPayment(transaction, payment, now);
    const entries = sync.isWritten && !isErased ? await tellFailedPayment(transaction, payment, now) : [];
    return {
      entries,
      outcome: sync.isWritten ? 'written' : 'unchanged',
      tenantId,
      isErased,
      mismatches: sync.mismatches,
    };
  });
}

/** The newest dispute of a charge. `disputed` stays true when it is decided; an inquiry does not set it. */
async function findDispute(
  { stripe }: Work,
  charge: Stripe.Charge | undefined,
): Promise<Stripe.Dispute | undefined> {
  if (charge === undefined || !charge.paid) return undefined;
  const { data } = await stripe.disputes.list({ charge: charge.id, limit: 100 }, CALL);
  return data.toSorted((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1))[0];
}

/** The row of the invoice that an intent pays. Since basil, an intent does not name it. */
async function findInvoiceId({ stripe }: Work, intent: string): Promise<string | undefined> {
  const { data } = await stripe.invoicePayments.list(
    {
      payment: { type: 'payment_intent', payment_intent: intent },
      expand: ['data.invoice'],
      limit: 1,
    },
    CALL,
  );
  const invoice = data[0]?.invoice;
  if (invoice === undefined || typeof invoice === 'string' || isDeleted(invoice)) return undefined;
  return invoiceRowId(invoice as Stripe.Invoice);
}

/**
 * The intent of a charge, refund or dispute, which never changes, so that no lock is needed yet. Undefined if the object is gone.
 * An empty string: it has none, as none of ours was made without.
 */
export async function findIntent({ stripe }: Work, { type, id }: StripeRef): Promise<string | undefined> {
  const object = await orMissing<unknown>(retrieve(stripe, type, id));
  return object === undefined ? undefined : (paymentIntentOf(object) ?? '');
}

function retrieve(stripe: Stripe, type: string, id: string): Promise<unknown> {
  if (type === 'charge') return stripe.charges.retrieve(id, {}, CALL);
  if (type === 'refund') return stripe.refunds.retrieve(id, {}, CALL);
  return stripe.disputes.retrieve(id, {}, CALL);
}
