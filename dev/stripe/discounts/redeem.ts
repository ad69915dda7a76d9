import type Stripe from 'stripe';
import { isCouponValid, isPromotionCodeActive } from '../api/as-it-is-now.ts';
import type { Context } from '../api/context.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import type { StripeError } from '../api/stripe-error.ts';

/** What a client asks for: one of both, as in `discounts[0]`. */
export interface DiscountWish {
  readonly coupon?: string | undefined;
  readonly promotion_code?: string | undefined;
}

/** Who redeems, and for what. */
export interface Redeemer {
  /** Null while a checkout has no customer yet. */
  readonly customer: string | null;
  /** What is to be paid without the discount, in minor units; a code's minimum is held against it. */
  readonly amount?: number;
  /** Of that amount, and of what is sold: a coupon of another currency is refused. */
  readonly currency?: string;
  /** Where the wish stands in the request, for errors: `discounts[0]`. */
  readonly param?: string;
}

/** What can be or was redeemed. `newDiscount` makes a discount of it. */
export interface Redemption {
  readonly coupon: Stripe.Coupon;
  readonly promotionCode: Stripe.PromotionCode | null;
}

function nameParam({ param }: Redeemer, field: keyof DiscountWish): string {
  return param === undefined ? field : `${param}[${field}]`;
}

function clockOf(context: Context, customer: string | null): Stripe.Customer['test_clock'] {
  return customer === null ? null : (context.store.get('customer', customer)?.test_clock ?? null);
}

function checkCoupon(
  coupon: Stripe.Coupon,
  now: number,
  redeemer: Redeemer,
  field: keyof DiscountWish,
): void {
  const param = nameParam(redeemer, field);
  if (coupon.redeem_by !== null && now > coupon.redeem_by)
    throw invalidRequest(`Coupon expired: ${coupon.id}`, { code: 'coupon_expired', param });
  if (!isCouponValid(coupon, now))
    throw invalidRequest(`Coupon ${coupon.id} is used up and cannot be applied.`, {
      code: 'coupon_expired',
      param,
    });
  const { currency = coupon.currency } = redeemer;
  if (coupon.currency !== null && coupon.currency !== currency)
    throw invalidRequest(
      `The coupon ${coupon.id} takes off ${coupon.currency} and cannot be applied to ${String(currency)}.`,
      { param },
    );
}

/** Without any earlier payment, as `first_time_transaction` wants its customers. */
function isFirstTransaction(context: Context, customer: string): boolean {
  const charges = context.store.list('charge', (charge) => charge.customer === customer && charge.paid);
  const invoices = context.store.list(
    'invoice',
    (invoice) => invoice.customer === customer && invoice.status === 'paid' && invoice.amount_paid > 0,
  );
  return charges.length + invoices.length === 0;
}

function checkPromotionCode(
  context: Context,
  code: Stripe.PromotionCode,
  now: number,
  redeemer: Redeemer,
): void {
  const refuse = (why: string, details: { code?: string } = {}): StripeError =>
    invalidRequest(`The promotion code ${code.code} ${why}.`, {
      ...details,
      param: nameParam(redeemer, 'promotion_code'),
    });
  const { restrictions } = code;
  if (code.expires_at !== null && now > code.expires_at)
    throw refuse('has expired', { code: 'coupon_expired' });
  if (code.max_redemptions !== null && code.times_redeemed >= code.max_redemptions)
    throw refuse('is used up', { code: 'coupon_expired' });
  if (!code.active) throw refuse('is inactive');
  if (code.customer !== null && code.customer !== redeemer.customer) throw refuse('is for another customer');
  if (
    restrictions.first_time_transaction &&
    redeemer.customer !== null &&
    !isFirstTransaction(context, redeemer.customer)
  )
    throw refuse('is only for customers without prior transactions');
  const { minimum_amount: minimum, minimum_amount_currency: money } = restrictions;
  if (minimum === null || redeemer.amount === undefined) return;
  if (redeemer.currency !== money || redeemer.amount < minimum)
    throw refuse(`needs an order of at least ${minimum} ${String(money)}`);
}

/** The promotion code that a person has typed, whatever the case, if it is active and this customer's or everybody's. */
export function findPromotionCode(
  context: Context,
  typed: string,
  customer: string | null,
): Stripe.PromotionCode | undefined {
  const now = context.now(clockOf(context, customer));
  const fits = (code: Stripe.PromotionCode): boolean =>
    code.code.toLowerCase() === typed.trim().toLowerCase() &&
    (code.customer === null || code.customer === customer) &&
    isPromotionCodeActive(context.store, code, now);
  return context.store.list('promotion_code', fits)[0];
}

/**
 * What a wish leads to, if this redeemer may have it now; counts nothing. Throws what Stripe answers: unknown
 * (`resource_missing`), over or used up (`coupon_expired`), not for this customer, order or currency. A customer of a test
 * clock redeems in its time.
 */
export function findRedeemable(context: Context, wish: DiscountWish, redeemer: Redeemer): Redemption {
  const now = context.now(clockOf(context, redeemer.customer));
  if (wish.promotion_code !== undefined) {
    if (wish.coupon !== undefined)
      throw invalidRequest('You may only specify one of these parameters: coupon, promotion_code.', {
        param: nameParam(redeemer, 'coupon'),
      });
    const param = nameParam(redeemer, 'promotion_code');
    const promotionCode = context.find('promotion_code', wish.promotion_code, param);
    const { coupon: id } = promotionCode.promotion;
    const coupon = context.find('coupon', typeof id === 'string' ? id : '', param);
    checkCoupon(coupon, now, redeemer, 'promotion_code');
    checkPromotionCode(context, promotionCode, now, redeemer);
    return { coupon, promotionCode };
  }
  const coupon = context.find('coupon', wish.coupon ?? '', nameParam(redeemer, 'coupon'));
  checkCoupon(coupon, now, redeemer, 'coupon');
  return { coupon, promotionCode: null };
}

/**
 * The same, and counted: `times_redeemed` of the coupon and of the code go up, with `coupon.updated` and
 * `promotion_code.updated`. Call it once where the discount comes to be: when a subscription or an invoice gets it, or when
 * a checkout is completed.
 */
export function redeem(context: Context, wish: DiscountWish, redeemer: Redeemer): Redemption {
  const { coupon, promotionCode } = findRedeemable(context, wish, redeemer);
  const times_redeemed = coupon.times_redeemed + 1;
  const usedCoupon = context.change('coupon.updated', coupon, {
    ...coupon,
    times_redeemed,
    valid: isCouponValid({ ...coupon, times_redeemed }, context.now()),
  });
  if (promotionCode === null) return { coupon: usedCoupon, promotionCode };
  const used = { ...promotionCode, times_redeemed: promotionCode.times_redeemed + 1 };
  const usedCode = context.change('promotion_code.updated', promotionCode, {
    ...used,
    active: isPromotionCodeActive(context.store, used, context.now()),
  });
  return { coupon: usedCoupon, promotionCode: usedCode };
}
