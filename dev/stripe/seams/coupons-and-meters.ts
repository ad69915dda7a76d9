/**
 * What billing needs of coupons, promotion codes and meters, and nothing else: this file is the only one of billing that
 * knows how those work.
 */
import Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { refId } from '../objects/refs.ts';
import { addRecurrences } from '../subscriptions/periods.ts';

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

interface Redeemable {
  readonly coupon: Stripe.Coupon;
  readonly promotionCode: Stripe.PromotionCode | null;
}

/** What a request leads to, if it can be redeemed; counts nothing. Throws what Stripe answers. */
export function findRedeemable(context: Context, request: DiscountRequest, place: DiscountPlace): Redeemable {
  const param = 'discounts[0]';
  const code =
    request.promotion_code === undefined
      ? null
      : context.find('promotion_code', request.promotion_code, `${param}[promotion_code]`);
  if (code?.active === false) throw invalidRequest('This promotion code is not active.', { param });
  const id = code === null ? request.coupon : refId(code.promotion.coupon);
  const coupon = context.find('coupon', id ?? '', `${param}[coupon]`);
  if (!coupon.valid || (coupon.currency !== null && coupon.currency !== place.currency))
    throw invalidRequest(`Coupon expired: ${coupon.id}`, { code: 'coupon_expired', param });
  return { coupon, promotionCode: code };
}

/** A new discount, and its coupon used once more. Throws what Stripe answers. */
export function redeem(context: Context, request: DiscountRequest, place: DiscountPlace): Stripe.Discount {
  if (request.discount !== undefined)
    return context.find('discount', request.discount, 'discounts[0][discount]');
  const { coupon, promotionCode } = findRedeemable(context, request, place);
  const months = coupon.duration === 'repeating' ? (coupon.duration_in_months ?? 0) : null;
  const discount: Stripe.Discount = {
    id: context.newId('discount'),
    object: 'discount',
    checkout_session: null,
    customer: place.customer,
    customer_account: null,
    end: months === null ? null : addRecurrences(place.at, { interval: 'month', interval_count: 1 }, months),
    invoice: null,
    invoice_item: null,
    promotion_code: promotionCode?.id ?? null,
    source: { coupon: coupon.id, type: 'coupon' },
    start: place.at,
    subscription: place.subscription ?? null,
    subscription_item: null,
  };
  context.store.put({ ...coupon, times_redeemed: coupon.times_redeemed + 1 });
  return context.create('customer.discount.created', discount);
}

/** Ends a discount: one that lasts once when an invoice has taken it, any when it is taken from its subscription. */
export function endDiscount(context: Context, id: string): void {
  const discount = context.store.get('discount', id);
  if (discount === undefined) return;
  context.store.remove('discount', id);
  context.emit('customer.discount.deleted', discount);
}

/** The promotion code that a person has typed, if it can be redeemed. */
export function findPromotionCode(context: Context, typed: string): Stripe.PromotionCode | undefined {
  return context.store.list(
    'promotion_code',
    ({ active, code }) => active && code.toLowerCase() === typed.trim().toLowerCase(),
  )[0];
}

/** What a discount takes off at a time; undefined once it has ended. */
export function termsOf(context: Context, id: string, at: number): DiscountTerms | undefined {
  const discount = context.store.get('discount', id);
  if (discount === undefined || (discount.end !== null && discount.end <= at)) return undefined;
  const coupon = context.store.get('coupon', refId(discount.source.coupon) ?? '');
  if (coupon === undefined) return undefined;
  return {
    id,
    percentOff: coupon.percent_off,
    amountOff: coupon.amount_off,
    isOnce: coupon.duration === 'once',
    appliesTo: (product) => coupon.applies_to?.products.includes(product) ?? true,
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
  const { event_name, customer_mapping, value_settings } = context.find('billing.meter', meter);
  const events = context.store.list(
    'billing.meter_event',
    (event) =>
      event.event_name === event_name &&
      event.payload[customer_mapping.event_payload_key] === customer &&
      event.timestamp >= from &&
      event.timestamp < to,
  );
  const values = events.map(({ payload }) =>
    Stripe.Decimal.from(payload[value_settings.event_payload_key] ?? '0'),
  );
  const total = values.reduce((sum, value) => sum.add(value), Stripe.Decimal.zero);
  return total.lt(Stripe.Decimal.zero) ? Stripe.Decimal.zero : total;
}
