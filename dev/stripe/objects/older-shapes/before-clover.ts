import type Stripe from 'stripe';
import { patch } from './patch.ts';
import type { Look, Step } from './patch.ts';

/** Until basil a coupon always stood there whole. */
function lookUpCoupon(coupon: string | Stripe.Coupon | null, look: Look): Stripe.Coupon | null {
  return typeof coupon === 'string' ? (look.get('coupon', coupon) ?? null) : coupon;
}

/** Clover (2025-09-30): a discount has a `source`, a promotion code a `promotion`, and their coupons moved into it. */
export const beforeClover: Step = (object, look) => {
  if (object.object === 'discount')
    return patch(object, { coupon: lookUpCoupon(object.source.coupon, look) }, ['source']);
  if (object.object === 'promotion_code')
    return patch(object, { coupon: lookUpCoupon(object.promotion.coupon, look) }, ['promotion']);
  return undefined;
};
