import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { changeCustomer, ownerOf, timeOf } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import { cardError } from '../payments/card-error.ts';
import { attachMethod } from '../payments/payment-methods.ts';
import { confirmIntent } from '../payments/payment-intents.ts';
import type { Decline } from '../payments/test-cards.ts';
import { changeSubscription, delaySubscription, giveUpSubscription } from '../subscriptions/status.ts';
import { finalizeInvoice } from './finalize.ts';
import { findIntent, markPaid } from './settle.ts';
import { billingSettings } from './settings.ts';

const DAY_SECONDS = 24 * 60 * 60;

export interface Attempt {
  readonly invoice: Stripe.Invoice;
  /** Why no money came; undefined where the invoice is paid. `no_method`: there is nothing to charge. */
  readonly failure?: Decline | 'no_method';
  readonly charge?: string;
}

function subscriptionOf(context: Context, invoice: Stripe.Invoice): Stripe.Subscription | undefined {
  const id = refId(invoice.parent?.subscription_details?.subscription);
  return id === null ? undefined : context.store.get('subscription', id);
}

/** What a subscription is paid with: its own payment method, else its customer's. */
export function findSubscriptionMethod(
  context: Context,
  { customer, default_payment_method }: Pick<Stripe.Subscription, 'customer' | 'default_payment_method'>,
): Stripe.PaymentMethod | undefined {
  const { invoice_settings } = context.find('customer', refId(customer));
  const id = refId(default_payment_method) ?? refId(invoice_settings.default_payment_method);
  return id === null ? undefined : context.store.get('payment_method', id);
}

/** Stripe's order: what the invoice says, what its subscription says, what the customer says. */
export function findInvoiceMethod(
  context: Context,
  invoice: Stripe.Invoice,
): Stripe.PaymentMethod | undefined {
  const own = refId(invoice.default_payment_method);
  if (own !== null) return context.store.get('payment_method', own);
  return findSubscriptionMethod(context, {
    customer: refId(invoice.customer) ?? '',
    default_payment_method: subscriptionOf(context, invoice)?.default_payment_method ?? null,
  });
}

/** When the next attempt is due after one that failed; null after the last one, and where nothing goes by itself. */
function nextAttempt(
  context: Context,
  invoice: Stripe.Invoice,
  attempts: number,
  now: number,
): number | null {
  if (invoice.auto_advance !== true) return null;
  const days = billingSettings(context).retry_days[attempts - 1];
  return days === undefined ? null : now + Math.round(days * DAY_SECONDS);
}

interface FailureParts {
  readonly invoice: Stripe.Invoice;
  readonly isAutomatic: boolean;
}

/** An attempt has failed: the invoice stays open, and another attempt follows or the subscription is given up. */
function noteFailure(context: Context, { invoice, isAutomatic }: FailureParts): Stripe.Invoice {
  const before = context.find('invoice', invoice.id);
  const now = timeOf(context, ownerOf(context, before));
  // As at Stripe, attempts that somebody asks for count only as the first.
  const counts = isAutomatic || before.attempt_count === 0;
  const attempt_count = before.attempt_count + (counts ? 1 : 0);
  const next = counts ? nextAttempt(context, before, attempt_count, now) : before.next_payment_attempt;
  const failed = { ...before, attempt_count, attempted: true, next_payment_attempt: next };
  context.change('invoice.updated', before, failed);
  context.emit('invoice.payment_failed', failed);
  changeCustomer(context, refId(failed.customer) ?? '', { delinquent: true });
  delaySubscription(context, failed);
  if (isAutomatic && failed.auto_advance === true && next === null)
    giveUpSubscription(context, failed, billingSettings(context).after_last_retry, now);
  return context.find('invoice', failed.id);
}

/** A payment that saves its card for the subscription, where the subscription says so. */
function saveMethod(context: Context, invoice: Stripe.Invoice, method: Stripe.PaymentMethod): void {
  const subscription = subscriptionOf(context, invoice);
  if (subscription?.payment_settings?.save_default_payment_method !== 'on_subscription') return;
  if (subscription.default_payment_method === method.id) return;
  changeSubscription(context, subscription.id, { default_payment_method: method.id });
}

interface PaymentOptions {
  /** Another payment method than the usual one. */
  readonly method?: Stripe.PaymentMethod | undefined;
  /** True for the attempts that are made without anybody asking. */
  readonly isAutomatic: boolean;
}

/** Tries to collect an open invoice. A decline is an outcome, not an error. */
export function tryPayment(
  context: Context,
  invoice: Stripe.Invoice,
  { method: chosen, isAutomatic }: PaymentOptions,
): Attempt {
  const intent = findIntent(context, invoice);
  const method = chosen ?? findInvoiceMethod(context, invoice);
  if (intent === undefined) throw new Error(`the invoice ${invoice.id} has no payment intent`);
  if (method === undefined)
    return { invoice: noteFailure(context, { invoice, isAutomatic }), failure: 'no_method' };
  const { decline, charge } = confirmIntent(context, intent, method);
  if (decline !== undefined)
    return { invoice: noteFailure(context, { invoice, isAutomatic }), failure: decline, charge: charge.id };
  return { invoice: markPaidBy(context, invoice, method) };
}

/** The invoice's intent has been paid with a method, by whoever confirmed it. */
export function markPaidBy(
  context: Context,
  invoice: Stripe.Invoice,
  method: Stripe.PaymentMethod,
): Stripe.Invoice {
  const count = Math.max(1, context.find('invoice', invoice.id).attempt_count);
  saveMethod(context, invoice, method);
  return markPaid(context, invoice, { attempt_count: count });
}

/** The invoice's intent was confirmed by somebody, and the card was declined. */
export function noteDeclined(context: Context, invoice: Stripe.Invoice): void {
  noteFailure(context, { invoice, isAutomatic: false });
}

/** Finalises a draft and tries to collect it, as Stripe does an hour after it made the draft. */
export function finalizeAndTry(context: Context, draft: Stripe.Invoice): Attempt {
  const invoice = finalizeInvoice(context, draft);
  return invoice.status === 'paid' ? { invoice } : tryPayment(context, invoice, { isAutomatic: true });
}

export const NO_METHOD_MESSAGE =
  'This customer has no attached payment source or default payment method. Please consider adding a default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.';

/** Throws what an attempt that has failed answers to who asked for it. What has happened stays, where a card was charged. */
function throwFailure(context: Context, { failure, charge, invoice }: Attempt): void {
  if (failure === undefined) return;
  if (failure === 'no_method') throw invalidRequest(NO_METHOD_MESSAGE, { code: 'resource_missing' });
  const intent = findIntent(context, invoice);
  throw cardError({
    decline: failure,
    ...(charge === undefined ? {} : { charge }),
    ...(intent === undefined ? {} : { intent }),
  });
}

/** `POST /v1/invoices/{id}/pay`: pays now, a draft too. Throws 402 where the card is declined, and keeps the attempt. */
export function payInvoice(
  context: Context,
  before: Stripe.Invoice,
  method: Stripe.PaymentMethod | undefined,
): Stripe.Invoice {
  if (before.status === 'paid') throw invalidRequest('Invoice is already paid');
  if (before.status === 'void')
    throw invalidRequest('This invoice is void and can no longer be paid.', {
      code: 'status_transition_invalid',
    });
  const open = before.status === 'draft' ? finalizeInvoice(context, before) : before;
  if (open.status === 'paid') return open;
  const owner = refId(open.customer) ?? '';
  const attached = method?.customer === null ? attachMethod(context, method, owner) : method;
  const attempt = tryPayment(context, open, { method: attached, isAutomatic: false });
  throwFailure(context, attempt);
  return attempt.invoice;
}
