import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { record } from '../api/record.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { randomLetters } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { createCharge } from './charges.ts';
import { openDispute } from './disputes.ts';
import { attachMethod, cardOf } from './payment-methods.ts';
import type { Decline } from './test-cards.ts';

interface NewIntent {
  readonly amount: number;
  readonly currency: string;
  readonly customer: string | null;
  readonly description?: string | null;
  readonly metadata?: Record<string, string>;
  readonly method?: string | null;
  readonly receiptEmail?: string | null;
  readonly setupFutureUsage?: 'off_session' | 'on_session' | null;
}

/** A new intent, which waits for a payment method or for its confirmation. */
export function createIntent(context: Context, given: NewIntent): Stripe.PaymentIntent {
  const id = context.newId('payment_intent');
  const method = given.method ?? null;
  return context.create('payment_intent.created', {
    id,
    object: 'payment_intent',
    allowed_payment_method_types: null,
    amount: given.amount,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: 'automatic',
    client_secret: `${id}_secret_${randomLetters(25)}`,
    confirmation_method: 'automatic',
    created: context.now(),
    currency: given.currency,
    customer: given.customer,
    customer_account: null,
    description: given.description ?? null,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: given.metadata ?? {},
    next_action: null,
    on_behalf_of: null,
    payment_method: method,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: { installments: null, mandate_options: null, network: null, request_three_d_secure: 'automatic' },
    },
    payment_method_types: ['card'],
    payment_record: null,
    processing: null,
    receipt_email: given.receiptEmail ?? null,
    review: null,
    setup_future_usage: given.setupFutureUsage ?? null,
    shipping: null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: method === null ? 'requires_payment_method' : 'requires_confirmation',
    transfer_data: null,
    transfer_group: null,
  });
}

export interface Confirmation {
  readonly intent: Stripe.PaymentIntent;
  readonly charge: Stripe.Charge;
  /** Why the card was declined; undefined where it paid. */
  readonly decline: Decline | undefined;
}

function checkConfirmable(intent: Stripe.PaymentIntent): void {
  const isOpen = intent.status === 'requires_payment_method' || intent.status === 'requires_confirmation';
  if (isOpen) return;
  throw invalidRequest(
    `You cannot confirm this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, requires_action.`,
    { code: 'payment_intent_unexpected_state' },
  );
}

function failIntent(
  context: Context,
  intent: Stripe.PaymentIntent,
  charge: Stripe.Charge,
  method: Stripe.PaymentMethod,
  decline: Decline,
): Stripe.PaymentIntent {
  return record(context, 'payment_intent.payment_failed', {
    ...intent,
    last_payment_error: {
      charge: charge.id,
      code: decline.code,
      decline_code: decline.declineCode,
      doc_url: `https://docs.stripe.com/error-codes/${decline.code.replaceAll('_', '-')}`,
      message: decline.message,
      payment_method: method,
      type: 'card_error',
    },
    latest_charge: charge.id,
    payment_method: null,
    status: 'requires_payment_method',
  });
}

/** Charges the payment method. A decline is an outcome, not an error: the intent waits for another payment method. */
export function confirmIntent(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
): Confirmation {
  checkConfirmable(intent);
  const { decline, isDisputed = false } = cardOf(method);
  const charge = createCharge(context, intent, method);
  if (decline !== undefined)
    return { intent: failIntent(context, intent, charge, method, decline), charge, decline };
  const customer = refId(intent.customer);
  if (customer !== null && intent.setup_future_usage !== null) attachMethod(context, method, customer);
  const paid = record(context, 'payment_intent.succeeded', {
    ...intent,
    amount_received: intent.amount,
    last_payment_error: null,
    latest_charge: charge.id,
    payment_method: method.id,
    status: 'succeeded',
  });
  if (isDisputed) openDispute(context, charge, { reason: 'fraudulent' });
  return { intent: paid, charge, decline };
}

export function cancelIntent(
  context: Context,
  intent: Stripe.PaymentIntent,
  reason: Stripe.PaymentIntent.CancellationReason | null,
): Stripe.PaymentIntent {
  if (intent.status === 'succeeded' || intent.status === 'canceled')
    throw invalidRequest(
      `You cannot cancel this PaymentIntent because it has a status of ${intent.status}.`,
      { code: 'payment_intent_unexpected_state' },
    );
  return record(context, 'payment_intent.canceled', {
    ...intent,
    canceled_at: context.now(),
    cancellation_reason: reason,
    status: 'canceled',
  });
}
