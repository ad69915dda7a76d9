import type Stripe from 'stripe';
import { z } from 'zod';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, pageParams } from '../api/page.ts';
import { clearable, hash, integer, oneOf, parseParams, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { StripeError, invalidRequest, noSuchObject } from '../api/stripe-error.ts';
import { findCustomer } from '../customers/customer-time.ts';
import { attachMethod, createTokenMethod, detachMethod, findMethod } from './payment-methods.ts';
import { findCardByToken, fingerprintOf, lastFour } from './test-cards.ts';

const expiry = {
  exp_month: integer({ min: 1, max: 12 }).optional(),
  exp_year: integer({ min: 2000, max: 2100 }).optional(),
};

const billingDetails = hash({
  email: clearable(text()).optional(),
  name: clearable(text()).optional(),
  phone: clearable(text()).optional(),
});

const type = oneOf('card');

function createFromToken(
  context: Context,
  card: { token?: string | undefined; number?: unknown },
): Stripe.PaymentMethod {
  if (card.number !== undefined)
    throw new StripeError(402, {
      type: 'invalid_request_error',
      message:
        'Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest you use test tokens that map to the test card you are using, see https://stripe.com/docs/testing.',
    });
  const known = findCardByToken(card.token ?? '');
  if (known === undefined) throw noSuchObject('token', card.token ?? '', 'card[token]');
  return createTokenMethod(context, known);
}

interface MethodChange {
  readonly billing_details?: z.output<typeof billingDetails> | undefined;
  readonly metadata?: Parameters<typeof applyMetadata>[1];
  readonly card?: { exp_month?: number | undefined; exp_year?: number | undefined } | undefined;
}

function applyChange(before: Stripe.PaymentMethod, change: MethodChange): Stripe.PaymentMethod {
  const { email, name, phone } = change.billing_details ?? {};
  const { billing_details: details, card } = before;
  const { exp_month, exp_year } = change.card ?? {};
  return {
    ...before,
    billing_details: {
      ...details,
      email: email === undefined ? details.email : email,
      name: name === undefined ? details.name : name,
      phone: phone === undefined ? details.phone : phone,
    },
    ...(card === undefined
      ? {}
      : { card: { ...card, exp_month: exp_month ?? card.exp_month, exp_year: exp_year ?? card.exp_year } }),
    metadata: applyMetadata(before.metadata ?? {}, change.metadata),
  };
}

function listMethods(
  context: Context,
  page: Parameters<typeof paginate>[2],
  customer: string | undefined,
): Stripe.ApiList<Stripe.PaymentMethod> {
  if (customer !== undefined && !context.store.isRemoved('customer', customer))
    context.find('customer', customer, 'customer');
  return paginate(
    context,
    context.store.list('payment_method'),
    page,
    (method) => method.customer !== null && (customer === undefined || method.customer === customer),
  );
}

const autoUpdateSchema = z.strictObject({ ...expiry, card: text().optional() });

/** As a card network does that tells Stripe of a new expiry date, or of a new card in place of the old one. */
function updateByNetwork(
  context: Context,
  id: string,
  { card: token, exp_month, exp_year }: z.output<typeof autoUpdateSchema>,
): Stripe.PaymentMethod {
  const before = context.find('payment_method', id);
  const { card } = before;
  const replacement = token === undefined ? undefined : findCardByToken(token);
  if (token !== undefined && replacement === undefined)
    throw invalidRequest(`There is no test card ${token}.`);
  if (card === undefined) throw invalidRequest('Only cards are updated.');
  return context.change('payment_method.automatically_updated', before, {
    ...before,
    card: {
      ...card,
      exp_month: exp_month ?? card.exp_month,
      exp_year: exp_year ?? card.exp_year,
      ...(replacement === undefined
        ? {}
        : { fingerprint: fingerprintOf(replacement), last4: lastFour(replacement) }),
    },
  });
}

export const paymentMethods: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/payment_methods',
      params: {
        billing_details: billingDetails.optional(),
        card: hash({
          ...expiry,
          cvc: text().optional(),
          number: text().optional(),
          token: text().optional(),
        }),
        metadata: metadata().optional(),
        type,
      },
      unsupported: [
        'allow_redisplay',
        'billing_details[address]',
        'customer',
        'payment_method',
        'radar_options',
      ],
      run: (context, { card, type: _type, ...change }) => {
        const method = applyChange(createFromToken(context, card), change);
        context.store.put(method);
        return method;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/payment_methods/{id}',
      params: {},
      run: (context, _params, id) => context.find('payment_method', id),
    }),
    route({
      method: 'POST',
      path: '/v1/payment_methods/{id}',
      params: {
        billing_details: billingDetails.optional(),
        card: hash(expiry).optional(),
        metadata: metadata().optional(),
      },
      unsupported: ['allow_redisplay', 'billing_details[address]', 'card[networks]'],
      run: (context, change, id) => {
        const before = context.find('payment_method', id);
        if (before.customer === null)
          throw invalidRequest('You must save this PaymentMethod to a customer before you can update it.');
        return context.change('payment_method.updated', before, applyChange(before, change));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/payment_methods',
      params: { ...pageParams, customer: text().optional(), type: type.optional() },
      unsupported: ['allow_redisplay', 'customer_account'],
      run: (context, { customer, type: _type, ...page }) => listMethods(context, page, customer),
    }),
    route({
      method: 'GET',
      path: '/v1/customers/{id}/payment_methods',
      params: { ...pageParams, type: type.optional() },
      unsupported: ['allow_redisplay'],
      run: (context, { type: _type, ...page }, customer) => {
        context.find('customer', customer);
        return listMethods(context, page, customer);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/customers/{id}/payment_methods/{method}',
      params: {},
      run: (context, _params, customer, id) => {
        const method = context.find('payment_method', id);
        if (method.customer !== customer) throw noSuchObject('PaymentMethod', id);
        return method;
      },
    }),
    route({
      method: 'POST',
      path: '/v1/payment_methods/{id}/attach',
      params: { customer: text() },
      unsupported: ['customer_account'],
      run: (context, { customer }, id) =>
        attachMethod(context, findMethod(context, id), findCustomer(context, customer).id),
    }),
    route({
      method: 'POST',
      path: '/v1/payment_methods/{id}/detach',
      params: {},
      run: (context, _params, id) => detachMethod(context, context.find('payment_method', id)),
    }),
  ],
  controls: [
    {
      method: 'POST',
      path: '/_stand-in/payment-methods/{id}/auto-update',
      access: 'secret',
      run: (standIn, { ids: [id = ''], body }) => {
        const change = parseParams(autoUpdateSchema, body);
        return { json: standIn.perform(null, (context) => updateByNetwork(context, id, change)) };
      },
    },
  ],
};
