import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { record } from '../api/record.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { changeCustomer, ownerOf, timeOf } from '../customers/customer-time.ts';
import { randomLetters } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { createIntent } from '../payments/payment-intents.ts';
import { endDiscount, termsOf } from '../seams/coupons-and-meters.ts';
import { changeSubscription } from '../subscriptions/status.ts';
import { recomputeDraft } from './drafts.ts';
import { refreshMeteredLine } from './lines.ts';
import { markPaid } from './settle.ts';
import { applyBalance } from './totals.ts';

const NUMBER_DIGITS = 4;

/** The next number of the customer's sequence, `ABCD1234-0001`. */
function takeNumber(context: Context, customer: Stripe.Customer): string {
  const sequence = customer.next_invoice_sequence ?? 1;
  context.store.put({ ...customer, next_invoice_sequence: sequence + 1 });
  return `${customer.invoice_prefix ?? ''}-${String(sequence).padStart(NUMBER_DIGITS, '0')}`;
}

/** The intent that is to pay an invoice, and their link. */
function createPayment(context: Context, invoice: Stripe.Invoice): Stripe.PaymentIntent {
  const intent = createIntent(context, {
    amount: invoice.amount_due,
    currency: invoice.currency,
    customer: refId(invoice.customer),
    description: describePayment(invoice),
    receiptEmail: null,
    setupFutureUsage: invoice.parent === null ? null : 'off_session',
  });
  context.store.put({
    id: context.newId('invoice_payment'),
    object: 'invoice_payment',
    amount_paid: null,
    amount_requested: invoice.amount_due,
    created: invoice.status_transitions.finalized_at ?? invoice.created,
    currency: invoice.currency,
    invoice: invoice.id,
    is_default: true,
    livemode: false,
    payment: { payment_intent: intent.id, type: 'payment_intent' },
    status: 'open',
    status_transitions: { canceled_at: null, paid_at: null },
  });
  return intent;
}

const PAYMENT_DESCRIPTIONS: Readonly<Record<string, string>> = {
  subscription_create: 'Subscription creation',
  subscription_cycle: 'Subscription update',
  subscription_update: 'Subscription update',
};

function describePayment({ billing_reason, number }: Stripe.Invoice): string {
  return PAYMENT_DESCRIPTIONS[billing_reason ?? ''] ?? `Payment for Invoice ${number ?? ''}`;
}

/** A discount that lasts once ends with the first invoice that it takes something off. */
function endOnceDiscounts(context: Context, invoice: Stripe.Invoice): void {
  const id = refId(invoice.parent?.subscription_details?.subscription);
  const subscription = id === null ? undefined : context.store.get('subscription', id);
  if (subscription === undefined) return;
  const taken = (invoice.total_discount_amounts ?? [])
    .filter(({ amount }) => amount > 0)
    .map(({ discount }) => refId(discount))
    .filter((discount) => termsOf(context, discount, invoice.created)?.isOnce === true);
  if (taken.length === 0) return;
  changeSubscription(context, subscription.id, {
    discounts: subscription.discounts.filter((discount) => !taken.includes(refId(discount))),
  });
  for (const discount of taken) endDiscount(context, discount);
}

/** Moves what the invoice leaves over to the customer's balance, and what was owed from there. */
function moveBalance(context: Context, customer: Stripe.Customer, invoice: Stripe.Invoice): number {
  const { balanceAfter } = applyBalance(invoice.total, customer.balance, invoice.currency);
  if (balanceAfter !== customer.balance) changeCustomer(context, customer.id, { balance: balanceAfter });
  return balanceAfter;
}

/**
 * Makes a draft final: it gets its number, and an intent that can be paid. One of nothing is paid at once. The usage in it is
 * counted again, because late events may have come.
 */
export function finalizeInvoice(context: Context, before: Stripe.Invoice): Stripe.Invoice {
  if (before.status !== 'draft')
    throw invalidRequest("This invoice is already finalized, you can't re-finalize a non-draft invoice.", {
      code: 'invoice_not_editable',
    });
  const customer = ownerOf(context, before);
  const now = timeOf(context, customer);
  const fresh = recomputeDraft(
    context,
    before,
    before.lines.data.map((line) => refreshMeteredLine(context, line)),
  );
  const number = takeNumber(context, customer);
  endOnceDiscounts(context, fresh);
  const open: Stripe.Invoice = {
    ...fresh,
    automatically_finalizes_at: null,
    effective_at: now,
    ending_balance: moveBalance(context, context.find('customer', customer.id), fresh),
    hosted_invoice_url: `${context.url}/_stand-in/pages/invoices/${fresh.id}/${randomLetters(40)}`,
    number,
    status: 'open',
    status_transitions: { ...fresh.status_transitions, finalized_at: now },
  };
  if (open.amount_due === 0) {
    return markPaid(context, record(context, 'invoice.finalized', open), null);
  }
  const intent = createPayment(context, open);
  const final: Stripe.Invoice = {
    ...open,
    confirmation_secret: { client_secret: intent.client_secret ?? '', type: 'payment_intent' },
  };
  return record(context, 'invoice.finalized', final);
}
