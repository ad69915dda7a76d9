import type Stripe from 'stripe';
import { isOfKind, isStripeObject } from '../objects/kinds.ts';
import type { Store } from '../store/store.ts';

/** True while a coupon can still be redeemed: its last second has not passed and its uses are not used up. */
export function isCouponValid(coupon: Stripe.Coupon, now: number): boolean {
  const isOver = coupon.redeem_by !== null && now > coupon.redeem_by;
  const isUsedUp = coupon.max_redemptions !== null && coupon.times_redeemed >= coupon.max_redemptions;
  return !isOver && !isUsedUp;
}

/** True while a promotion code that is switched on can be redeemed. Its coupon must be valid as well. */
export function isPromotionCodeActive(store: Store, code: Stripe.PromotionCode, now: number): boolean {
  const isOver = code.expires_at !== null && now > code.expires_at;
  const isUsedUp = code.max_redemptions !== null && code.times_redeemed >= code.max_redemptions;
  const { coupon: id } = code.promotion;
  const coupon = typeof id === 'string' ? store.get('coupon', id) : undefined;
  return code.active && !isOver && !isUsedUp && coupon !== undefined && isCouponValid(coupon, now);
}

/**
 * An object as Stripe shows it at a time: `coupon.valid` and `promotion_code.active` change by time alone, so that what is
 * stored of them is only what was true at the last change.
 */
export function asItIsNow<T extends object>(store: Store, object: T, now: number): T {
  if (!isStripeObject(object)) return object;
  if (isOfKind(object, 'coupon')) return { ...object, valid: isCouponValid(object, now) };
  if (isOfKind(object, 'promotion_code'))
    return { ...object, active: isPromotionCodeActive(store, object, now) };
  return object;
}
