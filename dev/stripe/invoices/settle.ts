import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { record } from '../api/record.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { changeCustomer, ownerOf, timeOf } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import { cancelIntent } from '../payments/payment-intents.ts';
import { settleSubscription } from '../subscriptions/status.ts';

/** The link to the intent that pays an invoice, if it needs one. */
function findPayment(context: Context, invoice: Stripe.Invoice): Stripe.InvoicePayment | undefined {
  return context.store.list(
    'invoice_payment',
    (payment) => payment.invoice === invoice.id && payment.is_default,
  )[0];
}

/** The intent that pays an invoice. */
export function findIntent(context: Context, invoice: Stripe.Invoice): Stripe.PaymentIntent | undefined {
  const intent = refId(findPayment(context, invoice)?.payment.payment_intent);
  return intent === null ? undefined : context.store.get('payment_intent', intent);
}

function closePayment(context: Context, invoice: Stripe.Invoice, isPaid: boolean, at: number): void {
  const payment = findPayment(context, invoice);
  if (payment === undefined) return;
  const transitions = payment.status_transitions;
  const closed: Stripe.InvoicePayment = isPaid
    ? {
        ...payment,
        amount_paid: payment.amount_requested,
        status: 'paid',
        status_transitions: { ...transitions, paid_at: at },
      }
    : { ...payment, status: 'canceled', status_transitions: { ...transitions, canceled_at: at } };
  context.store.put(closed);
  if (isPaid) context.emit('invoice_payment.paid', closed);
}

/** True for a customer who has an invoice that should have been paid. */
function isDelinquent(context: Context, customer: string): boolean {
  return context.store
    .list('invoice', (invoice) => invoice.customer === customer)
    .some(({ status, attempted }) => status === 'open' && attempted);
}

function clearDelinquency(context: Context, customer: Stripe.Customer): void {
  if (customer.delinquent === true && !isDelinquent(context, customer.id))
    changeCustomer(context, customer.id, { delinquent: false });
}

/** The invoice is paid: by its intent, whose charge has succeeded, or because nothing is due. `attempt` is what the payment changes. */
export function markPaid(
  context: Context,
  invoice: Stripe.Invoice,
  attempt: Partial<Stripe.Invoice> | null,
): Stripe.Invoice {
  const now = timeOf(context, ownerOf(context, invoice));
  const before = context.find('invoice', invoice.id);
  const paid: Stripe.Invoice = {
    ...before,
    ...attempt,
    amount_paid: before.amount_due,
    amount_remaining: 0,
    attempted: true,
    auto_advance: false,
    next_payment_attempt: null,
    status: 'paid',
    status_transitions: { ...before.status_transitions, paid_at: now },
  };
  context.change('invoice.updated', before, paid);
  context.emit('invoice.paid', paid);
  context.emit('invoice.payment_succeeded', paid);
  closePayment(context, paid, true, now);
  clearDelinquency(context, context.find('customer', refId(paid.customer) ?? ''));
  settleSubscription(context, paid);
  return paid;
}

function checkOpen(invoice: Stripe.Invoice, verb: string): void {
  if (invoice.status === 'open' || invoice.status === 'uncollectible') return;
  throw invalidRequest(
    `You can only ${verb} an invoice that is open; this one is ${invoice.status ?? 'unknown'}.`,
    { code: 'status_transition_invalid' },
  );
}

/** The invoice is void, as if it had never been: its intent is canceled. */
export function voidInvoice(context: Context, before: Stripe.Invoice): Stripe.Invoice {
  checkOpen(before, 'void');
  const now = timeOf(context, ownerOf(context, before));
  const intent = findIntent(context, before);
  if (intent !== undefined && intent.status !== 'canceled') cancelIntent(context, intent, 'void_invoice');
  const after = record(context, 'invoice.voided', {
    ...before,
    amount_remaining: 0,
    auto_advance: false,
    next_payment_attempt: null,
    status: 'void',
    status_transitions: { ...before.status_transitions, voided_at: now },
  });
  closePayment(context, after, false, now);
  clearDelinquency(context, context.find('customer', refId(after.customer) ?? ''));
  settleSubscription(context, after);
  return after;
}

/** Nobody expects the money any more, but it may still be paid. */
export function markUncollectible(context: Context, before: Stripe.Invoice): Stripe.Invoice {
  if (before.status === 'uncollectible') return before;
  checkOpen(before, 'mark as uncollectible');
  const now = timeOf(context, ownerOf(context, before));
  const after = record(context, 'invoice.marked_uncollectible', {
    ...before,
    auto_advance: false,
    next_payment_attempt: null,
    status: 'uncollectible',
    status_transitions: { ...before.status_transitions, marked_uncollectible_at: now },
  });
  clearDelinquency(context, context.find('customer', refId(after.customer) ?? ''));
  settleSubscription(context, after);
  return after;
}
