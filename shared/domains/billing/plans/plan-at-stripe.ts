import type Stripe from 'stripe';
import { isStripeMissing, stripeErrorOf } from '../stripe/client.ts';
import { meterEventName } from './meters.ts';
import { creationKey, type SoldPlan, type WantedPrice } from './stripe-plan.ts';

/** The ids of meters, by usage type. */
export type MeterIds = ReadonlyMap<string, string>;

const INTERVALS = { monthly: 'month', yearly: 'year' } as const;

/**
 * The plan's product. Its id is made of the plan's, so it is found without a search and made once, whoever races. No
 * Idempotency-Key: if a person deletes the product, a repeated key would answer with the deleted one.
 */
export async function ensureProduct(stripe: Stripe, plan: SoldPlan): Promise<string> {
  const id = plan.stripe_product_id ?? `plan_${plan.plan_id}`;
  const wanted = { name: plan.plan_name, active: plan.is_active, metadata: { plan_id: plan.plan_id } };
  const found = await findProduct(stripe, id);
  if (found === undefined) {
    try {
      return (await stripe.products.create({ id, ...wanted })).id;
    } catch (error) {
      if (stripeErrorOf(error)?.code !== 'resource_already_exists') throw error;
    }
  } else if (
    found.name === wanted.name &&
    found.active === wanted.active &&
    found.metadata['plan_id'] === plan.plan_id
  ) {
    return id;
  }
  await stripe.products.update(id, wanted);
  return id;
}

async function findProduct(stripe: Stripe, id: string): Promise<Stripe.Product | undefined> {
  try {
    return await stripe.products.retrieve(id);
  } catch (error) {
    if (isStripeMissing(error)) return undefined;
    throw error;
  }
}

/** A meter for each metered usage type. All plans share them: a meter is found by the name of its events. */
export async function ensureMeters(
  stripe: Stripe,
  plan: SoldPlan,
  prices: readonly WantedPrice[],
): Promise<MeterIds> {
  const missing = new Set(prices.flatMap(({ usageType }) => (usageType === null ? [] : [usageType])));
  const ids = new Map<string, string>();
  if (missing.size === 0) return ids;
  const inactive = new Map<string, string>();
  for await (const meter of stripe.billing.meters.list({ limit: 100 })) {
    for (const usageType of missing) {
      if (meter.event_name !== meterEventName(usageType)) continue;
      (meter.status === 'active' ? ids : inactive).set(usageType, meter.id);
    }
  }
  for (const usageType of missing)
    if (!ids.has(usageType))
      ids.set(usageType, await makeMeter(stripe, plan, usageType, inactive.get(usageType)));
  return ids;
}

async function makeMeter(
  stripe: Stripe,
  plan: SoldPlan,
  usageType: string,
  inactive: string | undefined,
): Promise<string> {
  if (inactive !== undefined) return (await stripe.billing.meters.reactivate(inactive)).id;
  const params: Stripe.Billing.MeterCreateParams = {
    display_name: usageType.replaceAll('_', ' '),
    event_name: meterEventName(usageType),
    default_aggregation: { formula: 'sum' },
    customer_mapping: { type: 'by_id', event_payload_key: 'stripe_customer_id' },
    value_settings: { event_payload_key: 'value' },
  };
  const idempotencyKey = creationKey('meter', plan.plan_id, plan.version, params);
  return (await stripe.billing.meters.create(params, { idempotencyKey })).id;
}

/** A price by its lookup key. One that was archived is taken again. */
export async function ensurePrice(
  stripe: Stripe,
  plan: SoldPlan,
  product: string,
  price: WantedPrice,
  meters: MeterIds,
): Promise<string> {
  const { data } = await stripe.prices.list({ lookup_keys: [price.lookupKey], limit: 1 });
  const [found] = data;
  if (found !== undefined) {
    if (!found.active) await stripe.prices.update(found.id, { active: true });
    return found.id;
  }
  const { default: StripeSdk } = await import('stripe');
  const meter = price.usageType === null ? undefined : meters.get(price.usageType);
  const content = { product, meter, lookupKey: price.lookupKey };
  const made = await stripe.prices.create(
    {
      product,
      currency: plan.currency.toLowerCase(),
      unit_amount_decimal: StripeSdk.Decimal.from(price.amount),
      lookup_key: price.lookupKey,
      recurring: {
        interval: INTERVALS[price.cycle],
        ...(meter === undefined ? {} : { usage_type: 'metered' as const, meter }),
      },
      metadata: {
        plan_id: plan.plan_id,
        billing_cycle: price.cycle,
        ...(price.usageType === null ? {} : { usage_type: price.usageType }),
      },
    },
    { idempotencyKey: creationKey('price', plan.plan_id, plan.version, content) },
  );
  return made.id;
}
