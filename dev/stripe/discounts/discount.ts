import Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { recallCoupon } from '../store/deleted-coupon.ts';
import type { Store } from '../store/store.ts';
import type { Redemption } from './redeem.ts';

/** The coupon that a discount is made of, also after the coupon's deletion. */
export function couponOf(store: Store, { source }: Pick<Stripe.Discount, 'source'>): Stripe.Coupon {
  const { coupon } = source;
  const found = typeof coupon === 'string' ? recallCoupon(store, coupon) : coupon;
  if (found == null) throw new Error('a discount without its coupon');
  return found;
}

/** What a discount belongs to: a customer or a subscription (then with its customer), one item of it, an invoice, a session. */
export type DiscountTarget = Partial<
  Pick<
    Stripe.Discount,
    'checkout_session' | 'customer' | 'invoice' | 'invoice_item' | 'subscription' | 'subscription_item'
  >
> & {
  /** Seconds since 1970, of the customer's clock. */
  readonly start: number;
};

/** The same day so many months later, or the month's last day where it has no such day. */
function addMonths(time: number, months: number): number {
  const from = new Date(time * 1000);
  const to = new Date(from);
  to.setUTCMonth(from.getUTCMonth() + months, 1);
  const lastDay = new Date(Date.UTC(to.getUTCFullYear(), to.getUTCMonth() + 1, 0)).getUTCDate();
  to.setUTCDate(Math.min(from.getUTCDate(), lastDay));
  return to.getTime() / 1000;
}

/**
 * Puts a new discount of what `redeem` has given. A customer's or a subscription's own emits `customer.discount.created`; one
 * of an invoice or of a session emits nothing. Its `end` is of a repeating coupon; one that lasts once has none and ends
 * with the first invoice that takes it (`endDiscount`).
 */
export function newDiscount(
  context: Context,
  { coupon, promotionCode }: Redemption,
  target: DiscountTarget,
): Stripe.Discount {
  const { duration, duration_in_months: months } = coupon;
  const discount: Stripe.Discount = {
    id: context.newId('discount'),
    object: 'discount',
    checkout_session: null,
    customer: null,
    customer_account: null,
    end: duration === 'repeating' && months !== null ? addMonths(target.start, months) : null,
    invoice: null,
    invoice_item: null,
    promotion_code: promotionCode?.id ?? null,
    source: { type: 'coupon', coupon: coupon.id },
    subscription: null,
    subscription_item: null,
    ...target,
  };
  const isOfCustomer =
    discount.customer !== null && discount.invoice === null && discount.invoice_item === null;
  if (isOfCustomer) return context.create('customer.discount.created', discount);
  context.store.put(discount);
  return discount;
}

/** Removes a discount, with `customer.discount.deleted` where it was a customer's or a subscription's. */
export function endDiscount(context: Context, discount: Stripe.Discount): void {
  context.store.remove('discount', discount.id);
  if (discount.customer !== null) context.emit('customer.discount.deleted', discount);
}

/** True where the discount still counts at this time (seconds since 1970). */
export function isDiscountOngoing({ end }: Stripe.Discount, at: number): boolean {
  return end === null || at < end;
}

/** True where the coupon counts for a product. Most count for all. */
export function appliesTo(coupon: Stripe.Coupon, product: string): boolean {
  return coupon.applies_to?.products.includes(product) ?? true;
}

/** What a coupon takes off an amount, in minor units, rounded half up; never more than the amount, nothing of another currency. */
export function amountOff(coupon: Stripe.Coupon, amount: number, currency: string): number {
  if (coupon.percent_off !== null)
    return Number(
      Stripe.Decimal.from(amount)
        .mul(Stripe.Decimal.from(coupon.percent_off))
        .mul(Stripe.Decimal.from('0.01'))
        .toFixed(0, 'half-up'),
    );
  if (coupon.amount_off === null || coupon.currency !== currency) return 0;
  return Math.min(coupon.amount_off, amount);
}
