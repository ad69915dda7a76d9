import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest, notInStandIn } from '../api/stripe-error.ts';
import { finalizeInvoice } from '../invoices/finalize.ts';
import { NO_METHOD_MESSAGE, findInvoiceMethod, tryPayment } from '../invoices/pay.ts';
import { cardError } from '../payments/card-error.ts';
import { changeSubscription } from '../subscriptions/status.ts';
import type { Begun } from './start.ts';

export type PaymentBehavior =
  'allow_incomplete' | 'default_incomplete' | 'error_if_incomplete' | 'pending_if_incomplete';

/** Without a card nobody can be charged: 400, and nothing has happened. */
function checkMethod(context: Context, draft: Stripe.Invoice): void {
  if (findInvoiceMethod(context, draft) === undefined)
    throw invalidRequest(NO_METHOD_MESSAGE, { code: 'resource_missing' });
}

/** Stripe marks a live subscription past due while the client is still to pay its change. */
function awaitClient(context: Context, id: string): void {
  const { status } = context.find('subscription', id);
  if (status === 'active') changeSubscription(context, id, { status: 'past_due' });
}

/**
 * Finalises the invoice of a request and collects it as the request's `payment_behavior` says. Throws where the request is to
 * fail with its payment; then nothing of it has happened. Returns the subscription as it is then.
 */
export function collect(
  context: Context,
  { subscription, draft }: Begun,
  behavior: PaymentBehavior,
): Stripe.Subscription {
  const { id } = subscription;
  if (behavior === 'pending_if_incomplete') throw notInStandIn('payment_behavior=pending_if_incomplete');
  if (draft === undefined) return context.find('subscription', id);
  const waitsForClient = behavior === 'default_incomplete';
  if (draft.amount_due > 0 && !waitsForClient) checkMethod(context, draft);
  const invoice = finalizeInvoice(context, draft);
  if (invoice.status === 'paid') return context.find('subscription', id);
  if (waitsForClient) {
    awaitClient(context, id);
    return context.find('subscription', id);
  }
  const { failure } = tryPayment(context, invoice, { isAutomatic: invoice.auto_advance === true });
  if (failure !== undefined && failure !== 'no_method' && behavior === 'error_if_incomplete')
    throw cardError({ decline: failure });
  return context.find('subscription', id);
}
