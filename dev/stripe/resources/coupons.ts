import type Stripe from 'stripe';
import { isCouponValid } from '../api/as-it-is-now.ts';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { currency, decimal, hash, integer, list, oneOf, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { withoutUndefined } from '../api/without-undefined.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { deleteCoupon } from '../store/deleted-coupon.ts';

const LONGEST_REDEEM_BY_SECONDS = 5 * 366 * 24 * 60 * 60; // as Stripe: five years ahead

interface Value {
  readonly amount_off?: number | undefined;
  readonly currency?: string | undefined;
  readonly percent_off?: Stripe.Decimal | undefined;
}

/** A coupon takes off an amount of a currency, or a part of any amount. */
function readValue({
  amount_off,
  currency: money,
  percent_off,
}: Value): Pick<Stripe.Coupon, 'amount_off' | 'currency' | 'percent_off'> {
  if ((amount_off === undefined) === (percent_off === undefined))
    throw invalidRequest('You must specify exactly one of: amount_off, percent_off.', {
      param: 'amount_off',
    });
  if (percent_off !== undefined) {
    const percent = percent_off.toNumber();
    if (percent <= 0 || percent > 100)
      throw invalidRequest('Invalid percent_off: must be greater than 0 and at most 100.', {
        param: 'percent_off',
      });
    return { amount_off: null, currency: null, percent_off: percent };
  }
  if (money === undefined)
    throw invalidRequest('You must pass currency when passing amount_off.', {
      code: 'parameter_missing',
      param: 'currency',
    });
  return { amount_off: amount_off ?? null, currency: money, percent_off: null };
}

function checkDuration(duration: Stripe.Coupon['duration'], months: number | undefined): void {
  const param = 'duration_in_months';
  if (duration === 'repeating' && months === undefined)
    throw invalidRequest('You must pass duration_in_months when passing duration=repeating.', {
      code: 'parameter_missing',
      param,
    });
  if (duration !== 'repeating' && months !== undefined)
    throw invalidRequest('duration_in_months can only be passed with duration=repeating.', { param });
}

function checkRedeemBy(context: Context, redeemBy: number | undefined): void {
  if (redeemBy === undefined) return;
  const now = context.now();
  if (redeemBy <= now || redeemBy > now + LONGEST_REDEEM_BY_SECONDS)
    throw invalidRequest('redeem_by must be in the future, and at most five years ahead.', {
      param: 'redeem_by',
    });
}

export const coupons: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/coupons',
      params: {
        amount_off: integer({ min: 1, max: 99_999_999 }).optional(),
        applies_to: hash({ products: list(text()) }).optional(),
        currency: currency().optional(),
        duration: oneOf('forever', 'once', 'repeating').optional(),
        duration_in_months: integer({ min: 1, max: 1200 }).optional(),
        id: text({ max: 200 }).optional(),
        max_redemptions: integer({ min: 1 }).optional(),
        metadata: metadata().optional(),
        name: text({ max: 40 }).optional(),
        percent_off: decimal().optional(),
        redeem_by: timestamp().optional(),
      },
      unsupported: ['currency_options'],
      run: (context, { id = context.newId('coupon'), duration = 'once', applies_to, ...given }) => {
        if (context.store.get('coupon', id) !== undefined)
          throw invalidRequest('Coupon already exists.', { code: 'resource_already_exists', param: 'id' });
        checkDuration(duration, given.duration_in_months);
        checkRedeemBy(context, given.redeem_by);
        for (const [index, product] of (applies_to?.products ?? []).entries())
          context.find('product', product, `applies_to[products][${index}]`);
        const coupon: Stripe.Coupon = {
          id,
          object: 'coupon',
          ...(applies_to === undefined ? {} : { applies_to }),
          created: context.now(),
          duration,
          duration_in_months: given.duration_in_months ?? null,
          livemode: false,
          max_redemptions: given.max_redemptions ?? null,
          metadata: applyMetadata({}, given.metadata),
          name: given.name ?? null,
          redeem_by: given.redeem_by ?? null,
          times_redeemed: 0,
          valid: true,
          ...readValue(given),
        };
        return context.create('coupon.created', coupon);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/coupons/{id}',
      params: {},
      run: (context, _params, id) => context.find('coupon', id),
    }),
    route({
      method: 'POST',
      path: '/v1/coupons/{id}',
      params: { metadata: metadata().optional(), name: text({ max: 40 }).optional() },
      unsupported: ['currency_options'],
      run: (context, { metadata: change, ...given }, id) => {
        const before = context.find('coupon', id);
        return context.change('coupon.updated', before, {
          ...before,
          ...withoutUndefined(given),
          metadata: applyMetadata(before.metadata ?? {}, change),
          valid: isCouponValid(before, context.now()),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/coupons',
      params: timedPageParams,
      run: (context, page) => paginate(context, context.store.list('coupon'), page),
    }),
    route({
      method: 'DELETE',
      path: '/v1/coupons/{id}',
      params: {},
      run: (context, _params, id): DeletedObject<'coupon'> => {
        const coupon = context.find('coupon', id);
        deleteCoupon(context.store, coupon);
        context.emit('coupon.deleted', coupon);
        return { id, object: 'coupon', deleted: true };
      },
    }),
  ],
};
