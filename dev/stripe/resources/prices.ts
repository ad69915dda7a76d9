import Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import {
  amount,
  boolean,
  clearable,
  currency,
  decimal,
  hash,
  integer,
  list,
  oneOf,
  text,
} from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { withoutUndefined } from '../api/without-undefined.ts';

const interval = oneOf('day', 'week', 'month', 'year');
const usageType = oneOf('licensed', 'metered');

const recurringParam = hash({
  interval,
  interval_count: integer({ min: 1, max: 1095 }).optional(),
  meter: text().optional(),
  trial_period_days: integer({ min: 1, max: 730 }).optional(),
  usage_type: usageType.optional(),
});

const params = {
  active: boolean().optional(),
  lookup_key: clearable(text({ max: 200 })).optional(),
  metadata: metadata().optional(),
  nickname: clearable(text()).optional(),
  tax_behavior: oneOf('exclusive', 'inclusive', 'unspecified').optional(),
  transfer_lookup_key: boolean().optional(),
};

type Recurring = NonNullable<Stripe.Price['recurring']>;

function makeRecurring(context: Context, given: ReturnType<typeof recurringParam.parse>): Recurring {
  const { meter = null, usage_type = 'licensed', interval_count = 1, trial_period_days = null } = given;
  if (usage_type === 'metered' && meter === null)
    throw invalidRequest('Metered prices need a meter: pass recurring[meter].', {
      code: 'parameter_missing',
      param: 'recurring[meter]',
    });
  if (usage_type === 'licensed' && meter !== null)
    throw invalidRequest('Only metered prices have a meter.', { param: 'recurring[meter]' });
  if (meter !== null && context.find('billing.meter', meter, 'recurring[meter]').status !== 'active')
    throw invalidRequest(`The meter ${meter} is inactive.`, { param: 'recurring[meter]' });
  return { interval: given.interval, interval_count, meter, trial_period_days, usage_type };
}

/** Amounts come in minor units, or in parts of them where `unit_amount_decimal` is given. */
function readAmount(
  unitAmount: number | undefined,
  unitDecimal: Stripe.Decimal | undefined,
): Pick<Stripe.Price, 'unit_amount' | 'unit_amount_decimal'> {
  if ((unitAmount === undefined) === (unitDecimal === undefined))
    throw invalidRequest('You must specify exactly one of: unit_amount, unit_amount_decimal.', {
      param: 'unit_amount',
    });
  const exact = unitDecimal ?? Stripe.Decimal.from(unitAmount ?? 0);
  const number = exact.toNumber();
  return { unit_amount: Number.isInteger(number) ? number : null, unit_amount_decimal: exact };
}

/** A lookup key belongs to one price: it is taken from the price that has it, where the request says so. */
function takeLookupKey(
  context: Context,
  key: string | null | undefined,
  mayTransfer: boolean,
  taker?: string,
): void {
  if (key == null) return;
  for (const owner of context.store.list(
    'price',
    (price) => price.lookup_key === key && price.id !== taker,
  )) {
    if (!mayTransfer)
      throw invalidRequest(`A price (\`${owner.id}\`) already uses that lookup key.`, {
        param: 'lookup_key',
      });
    context.change('price.updated', owner, { ...owner, lookup_key: null });
  }
}

function checkArchiving(context: Context, price: Stripe.Price): void {
  if (context.store.list('product', (product) => product.default_price === price.id).length > 0)
    throw invalidRequest('This price cannot be archived because it is the default price of its product.', {
      param: 'active',
    });
}

export const prices: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/prices',
      params: {
        ...params,
        billing_scheme: oneOf('per_unit').optional(),
        currency: currency(),
        product: text(),
        recurring: recurringParam.optional(),
        unit_amount: amount().optional(),
        unit_amount_decimal: decimal().optional(),
      },
      unsupported: [
        'currency_options',
        'custom_unit_amount',
        'product_data',
        'tiers',
        'tiers_mode',
        'transform_quantity',
      ],
      run: (context, given) => {
        const product = context.find('product', given.product, 'product');
        takeLookupKey(context, given.lookup_key, given.transfer_lookup_key ?? false);
        const price: Stripe.Price = {
          id: context.newId('price'),
          object: 'price',
          active: given.active ?? true,
          billing_scheme: 'per_unit',
          created: context.now(),
          currency: given.currency,
          custom_unit_amount: null,
          livemode: false,
          lookup_key: given.lookup_key ?? null,
          metadata: applyMetadata({}, given.metadata),
          nickname: given.nickname ?? null,
          product: product.id,
          recurring: given.recurring === undefined ? null : makeRecurring(context, given.recurring),
          tax_behavior: given.tax_behavior ?? 'unspecified',
          tiers_mode: null,
          transform_quantity: null,
          type: given.recurring === undefined ? 'one_time' : 'recurring',
          ...readAmount(given.unit_amount, given.unit_amount_decimal),
        };
        return context.create('price.created', price);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/prices/{id}',
      params: {},
      run: (context, _params, id) => context.find('price', id),
    }),
    route({
      method: 'POST',
      path: '/v1/prices/{id}',
      params,
      unsupported: ['currency_options'],
      run: (context, { metadata: change, transfer_lookup_key = false, ...given }, id) => {
        const before = context.find('price', id);
        if (given.active === false) checkArchiving(context, before);
        takeLookupKey(context, given.lookup_key, transfer_lookup_key, id);
        return context.change('price.updated', before, {
          ...before,
          ...withoutUndefined(given),
          metadata: applyMetadata(before.metadata, change),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/prices',
      params: {
        ...timedPageParams,
        active: boolean().optional(),
        currency: currency().optional(),
        lookup_keys: list(text()).optional(),
        product: text().optional(),
        recurring: hash({
          interval: interval.optional(),
          meter: text().optional(),
          usage_type: usageType.optional(),
        }).optional(),
        type: oneOf('one_time', 'recurring').optional(),
      },
      run: (context, { active, currency: money, lookup_keys, product, recurring = {}, type, ...page }) =>
        paginate(context, context.store.list('price'), page, (price) => {
          const isWanted = <T>(wanted: T | undefined, is: T): boolean =>
            wanted === undefined || wanted === is;
          return (
            isWanted(active, price.active) &&
            isWanted(money, price.currency) &&
            isWanted<unknown>(product, price.product) &&
            isWanted<string>(type, price.type) &&
            isWanted(recurring.interval, price.recurring?.interval) &&
            isWanted(recurring.meter, price.recurring?.meter) &&
            isWanted(recurring.usage_type, price.recurring?.usage_type) &&
            (lookup_keys?.includes(price.lookup_key ?? '') ?? true)
          );
        }),
    }),
  ],
};
