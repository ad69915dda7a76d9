import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { record } from '../api/record.ts';
import { invalidRequest, noSuchObject } from '../api/stripe-error.ts';
import { changeCustomer } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import { cardError } from './card-error.ts';
import { findCardByLastFour, findCardByToken, fingerprintOf, lastFour } from './test-cards.ts';
import type { TestCard } from './test-cards.ts';

/** Cards that come as a token are good for some years. */
const TOKEN_YEARS = 4;

export interface CardDetails {
  readonly card: TestCard;
  readonly expMonth: number;
  readonly expYear: number;
  readonly name?: string | null;
  readonly email?: string | null;
}

function makeCard({ card, expMonth, expYear }: CardDetails): Stripe.PaymentMethod.Card {
  return {
    brand: card.brand,
    checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: 'pass' },
    country: 'US',
    display_brand: card.brand,
    exp_month: expMonth,
    exp_year: expYear,
    fingerprint: fingerprintOf(card),
    funding: card.funding,
    generated_from: null,
    last4: lastFour(card),
    networks: { available: [card.brand], preferred: null },
    regulated_status: 'unregulated',
    three_d_secure_usage: { supported: true },
    wallet: null,
  };
}

/** A new payment method of no customer yet. It keeps the brand and the last four digits of the card, never the number. */
export function createCardMethod(context: Context, details: CardDetails): Stripe.PaymentMethod {
  const method: Stripe.PaymentMethod = {
    id: context.newId('payment_method'),
    object: 'payment_method',
    allow_redisplay: 'unspecified',
    billing_details: {
      address: { city: null, country: null, line1: null, line2: null, postal_code: null, state: null },
      email: details.email ?? null,
      name: details.name ?? null,
      phone: null,
      tax_id: null,
    },
    card: makeCard(details),
    created: context.now(),
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: {},
    type: 'card',
  };
  context.store.put(method);
  return method;
}

/** A payment method of a test token, `pm_card_visa`. */
export function createTokenMethod(context: Context, card: TestCard): Stripe.PaymentMethod {
  const expYear = new Date(context.now() * 1000).getUTCFullYear() + TOKEN_YEARS;
  return createCardMethod(context, { card, expMonth: 12, expYear });
}

/** The payment method that a parameter names. A test token becomes a new one, as at Stripe. */
export function findMethod(
  context: Context,
  id: string,
  param: string | undefined = 'payment_method',
): Stripe.PaymentMethod {
  const known = context.store.get('payment_method', id);
  if (known !== undefined) return known;
  const card = findCardByToken(id);
  if (card === undefined) throw noSuchObject('PaymentMethod', id, param);
  return createTokenMethod(context, card);
}

/** What a payment method's card does when it is charged. */
export function cardOf({ card }: Stripe.PaymentMethod): TestCard {
  const known = findCardByLastFour(card?.last4 ?? '');
  if (known === undefined) throw new Error('a payment method of a card that is no test card');
  return known;
}

/** Gives a payment method to a customer. Throws the card's decline, as Stripe tries cards before it keeps them. */
export function attachMethod(
  context: Context,
  method: Stripe.PaymentMethod,
  customer: string,
): Stripe.PaymentMethod {
  const owner = refId(method.customer);
  if (owner === customer) return method;
  if (owner !== null)
    throw invalidRequest('The payment method you provided has already been attached to a customer.', {
      param: 'payment_method',
    });
  const { decline, declinesLater = false } = cardOf(method);
  if (decline !== undefined && !declinesLater) throw cardError({ decline });
  const attached = { ...method, customer };
  return record(context, 'payment_method.attached', attached);
}

/** Takes a payment method from its customer, and from all that would be paid with it. It cannot be used again. */
export function detachMethod(context: Context, method: Stripe.PaymentMethod): Stripe.PaymentMethod {
  const customerId = refId(method.customer);
  if (customerId === null)
    throw invalidRequest(
      'The payment method you provided is not attached to a customer so detachment is impossible.',
      {
        param: 'payment_method',
      },
    );
  const detached = context.change('payment_method.detached', method, { ...method, customer: null });
  const customer = context.store.get('customer', customerId);
  if (customer?.invoice_settings.default_payment_method === method.id)
    changeCustomer(context, customerId, {
      invoice_settings: { ...customer.invoice_settings, default_payment_method: null },
    });
  for (const subscription of context.store.list(
    'subscription',
    ({ default_payment_method }) => default_payment_method === method.id,
  ))
    context.change('customer.subscription.updated', subscription, {
      ...subscription,
      default_payment_method: null,
    });
  return detached;
}

/** The payment method of a customer that a parameter names; a test token is attached first. */
export function findCustomerMethod(
  context: Context,
  customer: string,
  id: string,
  param: string,
): Stripe.PaymentMethod {
  const method = findMethod(context, id, param);
  if (method.customer === customer) return method;
  if (context.store.get('payment_method', id) === undefined) return attachMethod(context, method, customer);
  throw invalidRequest(
    `The customer does not have a payment method with the ID ${id}. The payment method must be attached to the customer.`,
    {
      code: 'resource_missing',
      param,
    },
  );
}
