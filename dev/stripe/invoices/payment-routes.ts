/** Payment intents and their links to invoices. They lie here, because who confirms an intent may pay an invoice. */
import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { boolean, clearable, currency, hash, integer, oneOf, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { withoutUndefined } from '../api/without-undefined.ts';
import { findCustomer } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import { cardError } from '../payments/card-error.ts';
import { cancelIntent, confirmIntent, createIntent } from '../payments/payment-intents.ts';
import { findMethod } from '../payments/payment-methods.ts';
import { markPaidBy, noteDeclined } from './pay.ts';

const unsupported = [
  'allowed_payment_method_types',
  'amount_details',
  'application_fee_amount',
  'automatic_payment_methods',
  'capture_method',
  'confirmation_method',
  'confirmation_token',
  'customer_account',
  'error_on_requires_action',
  'excluded_payment_method_types',
  'hooks',
  'mandate',
  'mandate_data',
  'on_behalf_of',
  'payment_details',
  'payment_method_configuration',
  'payment_method_data',
  'payment_method_options',
  'radar_options',
  'return_url',
  'shipping',
  'statement_descriptor',
  'statement_descriptor_suffix',
  'transfer_data',
  'transfer_group',
  'use_stripe_sdk',
];

function findInvoiceOf(context: Context, intent: Stripe.PaymentIntent): Stripe.Invoice | undefined {
  const link = context.store.list(
    'invoice_payment',
    ({ payment }) => refId(payment.payment_intent) === intent.id,
  )[0];
  return link === undefined ? undefined : context.store.get('invoice', refId(link.invoice));
}

/** Confirms an intent as its client would; its invoice, if it has one, follows. Throws 402 where the card is declined. */
function confirmByClient(
  context: Context,
  intent: Stripe.PaymentIntent,
  methodId: string | null,
): Stripe.PaymentIntent {
  if (methodId === null)
    throw invalidRequest(
      'You cannot confirm this PaymentIntent because it is missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method.',
      { code: 'payment_intent_unexpected_state' },
    );
  const customer = refId(intent.customer);
  if (customer !== null) findCustomer(context, customer);
  const method = findMethod(context, methodId);
  const invoice = findInvoiceOf(context, intent);
  const { decline, charge, intent: confirmed } = confirmIntent(context, intent, method);
  if (decline !== undefined) {
    if (invoice !== undefined) noteDeclined(context, invoice);
    throw cardError({ decline, charge: charge.id, intent: confirmed });
  }
  if (invoice !== undefined) markPaidBy(context, invoice, method);
  return confirmed;
}

export const paymentIntents: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/payment_intents',
      params: {
        amount: integer({ min: 1 }),
        confirm: boolean().optional(),
        currency: currency(),
        customer: text().optional(),
        description: text().optional(),
        metadata: metadata().optional(),
        off_session: boolean().optional(),
        payment_method: text().optional(),
        receipt_email: text().optional(),
        setup_future_usage: oneOf('off_session', 'on_session').optional(),
      },
      unsupported,
      run: (context, { confirm = false, metadata: change, payment_method, ...given }) => {
        const customer = given.customer === undefined ? null : findCustomer(context, given.customer).id;
        const method = payment_method === undefined ? null : findMethod(context, payment_method).id;
        const intent = createIntent(context, {
          amount: given.amount,
          currency: given.currency,
          customer,
          description: given.description ?? null,
          metadata: applyMetadata({}, change),
          method,
          receiptEmail: given.receipt_email ?? null,
          setupFutureUsage: given.setup_future_usage ?? null,
        });
        return confirm ? confirmByClient(context, intent, method) : intent;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/payment_intents/{id}',
      params: {},
      unsupported: ['client_secret'],
      run: (context, _params, id) => context.find('payment_intent', id),
    }),
    route({
      method: 'POST',
      path: '/v1/payment_intents/{id}',
      params: {
        description: text().optional(),
        metadata: metadata().optional(),
        receipt_email: clearable(text()).optional(),
      },
      unsupported: [...unsupported, 'amount', 'currency', 'customer', 'payment_method', 'setup_future_usage'],
      run: (context, { metadata: change, ...given }, id) => {
        const before = context.find('payment_intent', id);
        const after: Stripe.PaymentIntent = {
          ...before,
          ...withoutUndefined(given),
          metadata: applyMetadata(before.metadata, change),
        };
        context.store.put(after); // Stripe has no event for it
        return after;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/payment_intents',
      params: { ...timedPageParams, customer: text().optional() },
      unsupported: ['customer_account'],
      run: (context, { customer, ...page }) =>
        paginate(
          context,
          context.store.list('payment_intent'),
          page,
          (intent) => customer === undefined || intent.customer === customer,
        ),
    }),
    route({
      method: 'POST',
      path: '/v1/payment_intents/{id}/confirm',
      params: { off_session: boolean().optional(), payment_method: text().optional() },
      unsupported: [...unsupported, 'receipt_email', 'setup_future_usage'],
      run: (context, { payment_method }, id) => {
        const intent = context.find('payment_intent', id);
        return confirmByClient(context, intent, payment_method ?? refId(intent.payment_method));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/payment_intents/{id}/cancel',
      params: {
        cancellation_reason: oneOf(
          'abandoned',
          'duplicate',
          'fraudulent',
          'requested_by_customer',
        ).optional(),
      },
      run: (context, { cancellation_reason = null }, id) => {
        const intent = context.find('payment_intent', id);
        if (findInvoiceOf(context, intent) !== undefined)
          throw invalidRequest(
            'You cannot cancel this PaymentIntent because it belongs to an invoice; void the invoice instead.',
          );
        return cancelIntent(context, intent, cancellation_reason);
      },
    }),
  ],
};

export const invoicePayments: Part = {
  routes: [
    route({
      method: 'GET',
      path: '/v1/invoice_payments/{id}',
      params: {},
      run: (context, _params, id) => context.find('invoice_payment', id),
    }),
    route({
      method: 'GET',
      path: '/v1/invoice_payments',
      params: {
        ...timedPageParams,
        invoice: text().optional(),
        payment: hash({
          payment_intent: text().optional(),
          type: oneOf('payment_intent', 'payment_record'),
        }).optional(),
        status: oneOf('canceled', 'open', 'paid').optional(),
      },
      unsupported: ['payment[payment_record]'],
      run: (context, { invoice, payment, status, ...page }) =>
        paginate(
          context,
          context.store.list('invoice_payment'),
          page,
          (link) =>
            (invoice === undefined || link.invoice === invoice) &&
            (status === undefined || link.status === status) &&
            (payment === undefined ||
              (link.payment.type === payment.type &&
                (payment.payment_intent === undefined ||
                  link.payment.payment_intent === payment.payment_intent))),
        ),
    }),
  ],
};
