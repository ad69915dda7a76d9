import type Stripe from 'stripe';
import { z } from 'zod';
import { isOfKind, isStripeObject } from '../objects/kinds.ts';
import type { NoteKind, Store } from './store.ts';

/** What a deleted coupon was: those who have it keep their discount, as at Stripe. */
const DELETED_COUPON: NoteKind<Stripe.Coupon> = {
  name: 'deleted_coupon',
  schema: z.custom<Stripe.Coupon>((value) => isStripeObject(value) && isOfKind(value, 'coupon')),
};

/** Removes a coupon from what can be redeemed. Discounts that were made of it go on. */
export function deleteCoupon(store: Store, coupon: Stripe.Coupon): void {
  store.putNote(DELETED_COUPON, coupon.id, coupon);
  store.remove('coupon', coupon.id);
}

/** A coupon, also a deleted one. */
export function recallCoupon(store: Store, id: string): Stripe.Coupon | undefined {
  return store.get('coupon', id) ?? store.getNote(DELETED_COUPON, id);
}
