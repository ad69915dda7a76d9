import type Stripe from 'stripe';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import type { Promotion } from '../promotions/promotion.ts';
import { isKeyTaken, onceAtStripe } from '../stripe/ask-stripe.ts';
import { isStripeUnavailable, stripeErrorOf } from '../stripe/client.ts';
import { ensureCustomer } from '../subscriptions/stripe-customer.ts';
import { syncObject } from '../sync/sync-object.ts';
import { closeCheckout, openCheckout, Overtaken, type OpenCheckout, type Wish } from './checkout-rows.ts';

/** A session that a person can pay at, and our row of it. */
export interface PayableSession {
  readonly checkoutId: string;
  readonly session: Stripe.Checkout.Session;
}

/** A row that ends makes place for another; more in a row than this means that others come in between. */
const ROUNDS = 4;
/** Stripe forgets a key after a day. A session older than that has expired, and its page was never given to anyone. */
const ROW_KEPT_MS = 23 * 60 * 60_000;

/**
 * The tenant's open session for a wish. An open one for another wish is ended first, also at Stripe, so that nobody pays twice.
 * @throws Problem 409 if the open one was paid already, or others come in between.
 */
export async function findOrMakeSession(call: Call, stripe: Stripe, wish: Wish): Promise<PayableSession> {
  const customer = await ensureCustomer(call, stripe);
  for (let round = 0; round < ROUNDS; round += 1) {
    const open = await openCheckout(call, wish);
    const session = await continueCheckout(call, stripe, open, { wish, customer });
    if (session !== undefined) return { checkoutId: open.checkoutId, session };
    await closeCheckout(call, open);
  }
  throw new Overtaken();
}

/** The session of the open checkout; undefined if the checkout has to be closed. */
async function continueCheckout(
  call: Call,
  stripe: Stripe,
  open: OpenCheckout,
  order: { readonly wish: Wish; readonly customer: string },
): Promise<Stripe.Checkout.Session | undefined> {
  const { stripeSessionId } = open;
  if (open.isSame && stripeSessionId === null) {
    const isOld = Date.parse(open.createdAt) + ROW_KEPT_MS < call.now.getTime();
    return isOld ? undefined : makeSession(call, stripe, { ...order, ...open });
  }
  // Its page was not given to anyone. Whoever makes it now finds the row closed, and ends the session.
  if (stripeSessionId === null) return undefined;
  const session = open.isSame
    ? await stripe.checkout.sessions.retrieve(stripeSessionId)
    : await endSession(stripe, stripeSessionId);
  if (session.status === 'complete') {
    await takeIn(call, session);
    throw new Problem('CONFLICT', { detail: 'The checkout was paid. The subscription begins in a moment.' });
  }
  return open.isSame && session.status === 'open' ? session : undefined;
}

interface Order {
  readonly wish: Wish;
  readonly customer: string;
  readonly checkoutId: string;
  readonly promotion: Promotion | undefined;
}

/** Makes the session. Sent again for the same checkout, Stripe answers with the same one. */
async function makeSession(
  call: Call,
  stripe: Stripe,
  order: Order,
): Promise<Stripe.Checkout.Session | undefined> {
  const { checkoutId } = order;
  try {
    return await onceAtStripe(() =>
      stripe.checkout.sessions.create(sessionOf(call, order), { idempotencyKey: `checkout:${checkoutId}` }),
    );
  } catch (error) {
    // What was begun differs, because a price or a code was changed since.
    if (isKeyTaken(error)) return undefined;
    const status = stripeErrorOf(error)?.statusCode ?? 0;
    // Stripe repeats its answer under the key, a 5xx as well. Only without an answer can the same key succeed.
    if (!isStripeUnavailable(error) || status >= 500)
      await closeCheckout(call, { checkoutId, stripeSessionId: null });
    throw error;
  }
}

function sessionOf(
  call: Call,
  { wish, customer, checkoutId, promotion }: Order,
): Stripe.Checkout.SessionCreateParams {
  const { plan, trialDays } = wish;
  const metadata = {
    tenant_id: call.tenant.tenantId,
    checkout_id: checkoutId,
    ...(promotion === undefined ? {} : { promotional_code: promotion.code }),
  };
  const codeDays = promotion?.discount_type === 'free_trial' ? promotion.discount_value : 0;
  const days = Math.max(trialDays, codeDays);
  const discount = discountOf(promotion);
  return {
    mode: 'subscription',
    customer,
    client_reference_id: checkoutId,
    line_items: [{ price: plan.basePrice, quantity: 1 }, ...plan.meteredPrices.map((price) => ({ price }))],
    success_url: wish.successUrl,
    cancel_url: wish.cancelUrl,
    metadata,
    subscription_data: { metadata, ...(days === 0 ? {} : { trial_period_days: days }) },
    ...(discount === undefined ? {} : { discounts: [discount] }),
  };
}

function discountOf(
  promotion: Promotion | undefined,
): Stripe.Checkout.SessionCreateParams.Discount | undefined {
  if (promotion === undefined || promotion.discount_type === 'free_trial') return undefined;
  const { stripe_promotion_code_id: code, stripe_coupon_id: coupon } = promotion;
  if (code !== null) return { promotion_code: code };
  if (coupon !== null) return { coupon };
  throw new Problem('CONFLICT', { detail: 'The promotional code cannot be used yet.' });
}

/** Ends a session at Stripe, or finds that it has ended already. */
export async function endSession(stripe: Stripe, sessionId: string): Promise<Stripe.Checkout.Session> {
  try {
    return await stripe.checkout.sessions.expire(sessionId);
  } catch (error) {
    if (isStripeUnavailable(error)) throw error;
    return stripe.checkout.sessions.retrieve(sessionId);
  }
}

/** Writes what a paid session has led to, before its event comes. */
async function takeIn(call: Call, session: Stripe.Checkout.Session): Promise<void> {
  const { subscription } = session;
  const id = typeof subscription === 'string' ? subscription : subscription?.id;
  try {
    await syncObject(call.services, { type: 'checkout.session', id: session.id }, call.now);
    if (id !== undefined) await syncObject(call.services, { type: 'subscription', id }, call.now);
  } catch (error) {
    // The events bring the same.
    log.warn('checkout-not-synced', errorFields(error));
  }
}
