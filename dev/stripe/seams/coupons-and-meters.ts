/**
 * What billing needs of coupons, promotion codes and meters, and nothing else: this file is the only one of billing that
 * knows how those work.
 */
import Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import {
  appliesTo,
  couponOf,
  endDiscount as removeDiscount,
  isDiscountOngoing,
  newDiscount,
} from '../discounts/discount.ts';
import { redeem as redeemWish } from '../discounts/redeem.ts';
import { usageOf as usageOfMeter } from '../meters/usage.ts';

/** One of `discounts[]` of a request. */
export interface DiscountRequest {
  readonly coupon?: string | undefined;
  readonly discount?: string | undefined;
  readonly promotion_code?: string | undefined;
}

/** Whose discount it is to be, and of what. */
export interface DiscountPlace {
  readonly customer: string | null;
  readonly subscription?: string;
  /** Of what is sold. */
  readonly currency: string;
  /** What is to be paid without the discount: some codes have a minimum. */
  readonly amount?: number;
  /** Seconds since 1970, in the time of the customer. */
  readonly at: number;
}

/** What a discount takes off, for who computes an invoice. */
export interface DiscountTerms {
  readonly id: string;
  readonly percentOff: number | null;
  readonly amountOff: number | null;
  /** True for one invoice only. */
  readonly isOnce: boolean;
  /** False for a product that the coupon is not for. */
  appliesTo(product: string): boolean;
}

/** A new discount, and its coupon used once more. Throws what Stripe answers. */
export function redeem(context: Context, request: DiscountRequest, place: DiscountPlace): Stripe.Discount {
  const { discount, ...wish } = request;
  if (discount !== undefined) return context.find('discount', discount, 'discounts[0][discount]');
  const { customer, currency, amount, at, subscription } = place;
  const redeemer = { customer, currency, param: 'discounts[0]', ...(amount === undefined ? {} : { amount }) };
  const target = { customer, start: at, ...(subscription === undefined ? {} : { subscription }) };
  return newDiscount(context, redeemWish(context, wish, redeemer), target);
}

/** Ends a discount: one that lasts once when an invoice has taken it, any when it is taken from its subscription. */
export function endDiscount(context: Context, id: string): void {
  const discount = context.store.get('discount', id);
  if (discount !== undefined) removeDiscount(context, discount);
}

/** What a discount takes off at a time; undefined once it has ended. */
export function termsOf(context: Context, id: string, at: number): DiscountTerms | undefined {
  const discount = context.store.get('discount', id);
  if (discount === undefined || !isDiscountOngoing(discount, at)) return undefined;
  const coupon = couponOf(context.store, discount);
  return {
    id,
    percentOff: coupon.percent_off,
    amountOff: coupon.amount_off,
    isOnce: coupon.duration === 'once',
    appliesTo: (product) => appliesTo(coupon, product),
  };
}

/** What a customer has used of a meter from one time up to, and without, another; never less than nothing. */
export function usageOf(
  context: Context,
  meter: string,
  customer: string,
  from: number,
  to: number,
): Stripe.Decimal {
  const usage = usageOfMeter(context, meter, customer, from, to);
  return usage.lt(Stripe.Decimal.zero) ? Stripe.Decimal.zero : usage;
}
