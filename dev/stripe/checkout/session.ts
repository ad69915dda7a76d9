import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { record } from '../api/record.ts';
import { StripeError, invalidRequest } from '../api/stripe-error.ts';
import { collect } from '../billing/collect.ts';
import { beginSubscription } from '../billing/start.ts';
import { findCustomer } from '../customers/customer-time.ts';
import { makeCustomer } from '../customers/new-customer.ts';
import { refId } from '../objects/refs.ts';
import { confirmIntent, createIntent } from '../payments/payment-intents.ts';
import { attachMethod, createCardMethod } from '../payments/payment-methods.ts';
import type { CardDetails } from '../payments/payment-methods.ts';
import { confirmSetupIntent } from '../payments/setup-intents.ts';
import { findPromotionCode, findRedeemable } from '../discounts/redeem.ts';
import { findAmounts } from './amounts.ts';
import { getOrder, putOrder, toStartRequest } from './order.ts';
import type { Order } from './order.ts';

type Session = Stripe.Checkout.Session;

function orderOf(context: Context, { id }: Session): Order {
  const order = getOrder(context, id);
  if (order === undefined) throw new Error(`the session ${id} has no order`);
  return order;
}

function checkOpen({ status }: Session): void {
  if (status === 'open') return;
  throw invalidRequest(`This Checkout Session is no longer open: its status is ${status ?? 'unknown'}.`, {
    code: 'checkout_session_not_open',
  });
}

/** Nobody can complete the session any more. */
export function expireSession(context: Context, before: Session): Session {
  if (before.status !== 'open')
    throw invalidRequest(
      `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of ${before.status ?? 'unknown'}.`,
    );
  return record(context, 'checkout.session.expired', { ...before, status: 'expired', url: null });
}

/** What a person has typed on the page. */
export interface Buyer {
  readonly email: string;
  /** Undefined where the session takes no card. */
  readonly card: CardDetails | undefined;
}

function findBuyer(context: Context, session: Session, { email, card }: Buyer): Stripe.Customer {
  const known = refId(session.customer);
  if (known !== null) return findCustomer(context, known);
  return context.create('customer.created', {
    ...makeCustomer(context, null),
    email: session.customer_email ?? email,
    name: card?.name ?? null,
  });
}

function completeSetup(
  context: Context,
  session: Session,
  customer: Stripe.Customer,
  card: CardDetails,
): void {
  const intent = context.find('setup_intent', refId(session.setup_intent) ?? '');
  confirmSetupIntent(context, { ...intent, customer: customer.id }, createCardMethod(context, card));
}

/** The subscription, paid with the card. Throws where it is declined, and then nothing of it has happened. */
function completeSubscription(
  context: Context,
  session: Session,
  customer: Stripe.Customer,
  card: CardDetails | undefined,
): Stripe.Subscription {
  const method =
    card === undefined ? null : attachMethod(context, createCardMethod(context, card), customer.id).id;
  const request = toStartRequest(context, orderOf(context, session), customer, method);
  return collect(context, beginSubscription(context, request), 'error_if_incomplete');
}

function detailsOf({
  address,
  email,
  name,
  phone,
  tax_exempt,
}: Stripe.Customer): Session['customer_details'] {
  return {
    address: address ?? null,
    business_name: null,
    email,
    individual_name: null,
    name: name ?? null,
    phone: phone ?? null,
    tax_exempt: tax_exempt ?? 'none',
    tax_ids: [],
  };
}

/** A person has agreed: the customer, the subscription and its first invoice come to be, all or nothing. */
export function completeSession(context: Context, before: Session, buyer: Buyer): Session {
  checkOpen(before);
  const customer = findBuyer(context, before, buyer);
  const done = {
    customer: customer.id,
    customer_details: detailsOf(customer),
    status: 'complete',
    url: null,
  };
  if (before.mode === 'setup') {
    if (buyer.card === undefined) throw new Error('a setup without a card');
    completeSetup(context, before, customer, buyer.card);
    return record(context, 'checkout.session.completed', { ...before, ...done });
  }
  const { id, latest_invoice } = completeSubscription(context, before, customer, buyer.card);
  return record(context, 'checkout.session.completed', {
    ...before,
    ...done,
    invoice: latest_invoice,
    payment_status: before.amount_total === 0 ? 'no_payment_required' : 'paid',
    subscription: id,
  });
}

/** What stays of a payment that was declined: a failed charge. The session is still open. */
export function noteDeclinedCard(context: Context, session: Session, card: CardDetails): void {
  const { amount_total, currency, customer } = session;
  if (amount_total === null || amount_total === 0 || currency === null) return;
  const intent = createIntent(context, {
    amount: amount_total,
    currency,
    customer: refId(customer),
    description: 'Subscription creation',
    setupFutureUsage: 'off_session',
  });
  confirmIntent(context, intent, createCardMethod(context, card));
}

/** Shows what a session costs with these discounts. */
function withDiscounts(context: Context, before: Session, discounts: Order['discounts']): Session {
  const order = { ...orderOf(context, before), discounts };
  putOrder(context, before.id, order);
  const after: Session = {
    ...before,
    ...findAmounts(context, before.id, order, refId(before.customer)),
    discounts: discounts.map(({ coupon = null, promotion_code = null }) => ({ coupon, promotion_code })),
  };
  context.store.put(after);
  return after;
}

/** Takes a promotion code that a person has typed. Throws where there is none, or it cannot be redeemed. */
export function applyPromotionCode(context: Context, before: Session, typed: string): Session {
  checkOpen(before);
  if (before.allow_promotion_codes !== true) throw invalidRequest('This session takes no promotion codes.');
  const customer = refId(before.customer);
  const code = findPromotionCode(context, typed, customer);
  if (code === undefined)
    throw new StripeError(400, { type: 'invalid_request_error', message: 'This code is invalid.' });
  const [currency, amount] = [before.currency ?? '', before.amount_subtotal ?? 0];
  findRedeemable(context, { promotion_code: code.id }, { customer, currency, amount });
  return withDiscounts(context, before, [{ promotion_code: code.id }]);
}

export function removePromotionCode(context: Context, before: Session): Session {
  checkOpen(before);
  return withDiscounts(context, before, []);
}
