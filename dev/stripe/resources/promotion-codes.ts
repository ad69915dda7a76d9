import type Stripe from 'stripe';
import type { z } from 'zod';
import { isCouponValid, isPromotionCodeActive } from '../api/as-it-is-now.ts';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { amount, boolean, currency, hash, integer, oneOf, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { randomLetters } from '../objects/kinds.ts';

const CODE_LETTERS = 8; // of a code that Stripe makes up

const promotionParam = hash({ type: oneOf('coupon'), coupon: text() });

const restrictionsParam = hash({
  first_time_transaction: boolean().optional(),
  minimum_amount: amount().optional(),
  minimum_amount_currency: currency().optional(),
});

type GivenRestrictions = z.output<typeof restrictionsParam>;

function readRestrictions(given: GivenRestrictions): Stripe.PromotionCode.Restrictions {
  const { first_time_transaction = false, minimum_amount, minimum_amount_currency } = given;
  if ((minimum_amount === undefined) !== (minimum_amount_currency === undefined)) {
    const missing = minimum_amount === undefined ? 'minimum_amount' : 'minimum_amount_currency';
    throw invalidRequest('minimum_amount and minimum_amount_currency must be passed together.', {
      code: 'parameter_missing',
      param: `restrictions[${missing}]`,
    });
  }
  return {
    first_time_transaction,
    minimum_amount: minimum_amount ?? null,
    minimum_amount_currency: minimum_amount_currency ?? null,
  };
}

/** Two customers may have codes that read the same; whoever types one must find one. */
function checkUnique(context: Context, code: string, customer: string | null, self?: string): void {
  const same = context.store.list(
    'promotion_code',
    (other) =>
      other.id !== self &&
      other.code.toLowerCase() === code.toLowerCase() &&
      (other.customer === null || customer === null || other.customer === customer) &&
      isPromotionCodeActive(context.store, other, context.now()),
  );
  if (same.length > 0)
    throw invalidRequest(`An active promotion code with \`code: ${code}\` already exists.`, {
      code: 'resource_already_exists',
      param: 'code',
    });
}

interface Limits {
  readonly expires_at?: number | undefined;
  readonly max_redemptions?: number | undefined;
}

/** A code does not outlast its coupon. */
function checkLimits(context: Context, coupon: Stripe.Coupon, { expires_at, max_redemptions }: Limits): void {
  if (!isCouponValid(coupon, context.now()))
    throw invalidRequest(`The coupon ${coupon.id} is no longer valid.`, {
      code: 'coupon_expired',
      param: 'promotion[coupon]',
    });
  if (expires_at !== undefined && expires_at <= context.now())
    throw invalidRequest('expires_at must be in the future.', { param: 'expires_at' });
  if (expires_at !== undefined && expires_at > (coupon.redeem_by ?? Infinity))
    throw invalidRequest("expires_at cannot be after the coupon's redeem_by.", { param: 'expires_at' });
  if (max_redemptions !== undefined && max_redemptions > (coupon.max_redemptions ?? Infinity))
    throw invalidRequest("max_redemptions cannot be more than the coupon's.", { param: 'max_redemptions' });
}

/** A code that is over, used up or without a valid coupon stays off. */
function checkActivation(context: Context, code: Stripe.PromotionCode): void {
  if (!isPromotionCodeActive(context.store, { ...code, active: true }, context.now()))
    throw invalidRequest('This promotion code can no longer be redeemed and cannot be activated.', {
      param: 'active',
    });
  checkUnique(context, code.code, typeof code.customer === 'string' ? code.customer : null, code.id);
}

export const promotionCodes: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/promotion_codes',
      params: {
        active: boolean().optional(),
        code: text({ max: 500 }).optional(),
        customer: text().optional(),
        expires_at: timestamp().optional(),
        max_redemptions: integer({ min: 1 }).optional(),
        metadata: metadata().optional(),
        promotion: promotionParam,
        restrictions: restrictionsParam.optional(),
      },
      unsupported: ['customer_account', 'restrictions[currency_options]'],
      run: (context, { promotion, active = true, customer = null, ...given }) => {
        const { code = randomLetters(CODE_LETTERS).toUpperCase() } = given;
        if (!/^[a-z0-9-]+$/i.test(code))
          throw invalidRequest('Promotion codes have letters (a-z, A-Z), digits (0-9) and dashes (-) only.', {
            param: 'code',
          });
        const coupon = context.find('coupon', promotion.coupon, 'promotion[coupon]');
        if (customer !== null) context.find('customer', customer, 'customer');
        checkLimits(context, coupon, given);
        if (active) checkUnique(context, code, customer);
        const promotionCode: Stripe.PromotionCode = {
          id: context.newId('promotion_code'),
          object: 'promotion_code',
          active,
          code,
          created: context.now(),
          customer,
          customer_account: null,
          expires_at: given.expires_at ?? null,
          livemode: false,
          max_redemptions: given.max_redemptions ?? null,
          metadata: applyMetadata({}, given.metadata),
          promotion: { type: 'coupon', coupon: coupon.id },
          restrictions: readRestrictions(given.restrictions ?? {}),
          times_redeemed: 0,
        };
        return context.create('promotion_code.created', promotionCode);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/promotion_codes/{id}',
      params: {},
      run: (context, _params, id) => context.find('promotion_code', id),
    }),
    route({
      method: 'POST',
      path: '/v1/promotion_codes/{id}',
      params: { active: boolean().optional(), metadata: metadata().optional() },
      unsupported: ['restrictions'],
      run: (context, { active, metadata: change }, id) => {
        const before = context.find('promotion_code', id);
        if (active === true) checkActivation(context, before);
        return context.change('promotion_code.updated', before, {
          ...before,
          active: active ?? before.active,
          metadata: applyMetadata(before.metadata ?? {}, change),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/promotion_codes',
      params: {
        ...timedPageParams,
        active: boolean().optional(),
        code: text().optional(),
        coupon: text().optional(),
        customer: text().optional(),
      },
      unsupported: ['customer_account'],
      run: (context, { active, code, coupon, customer, ...page }) =>
        paginate(
          context,
          context.store.list('promotion_code'),
          page,
          (one) =>
            (active === undefined || isPromotionCodeActive(context.store, one, context.now()) === active) &&
            (code === undefined || one.code.toLowerCase() === code.toLowerCase()) &&
            (coupon === undefined || one.promotion.coupon === coupon) &&
            (customer === undefined || one.customer === customer),
        ),
    }),
  ],
};
