import Stripe from 'stripe';
import { takeEvent } from './meters/usage.ts';
import type { TestStripe } from './test-stripe.ts';

/** 2026-01-31 10:00:00 UTC: a day that February does not have. */
export const START = Date.UTC(2026, 0, 31, 10) / 1000;
export const HOUR = 60 * 60;
export const DAY = 24 * HOUR;

/** `2026-02-28T10:00:00Z` as seconds. */
export const at = (iso: string): number => Date.parse(iso) / 1000;

export interface Plans {
  readonly team: Stripe.Price;
  readonly business: Stripe.Price;
  readonly teamYearly: Stripe.Price;
}

/** Two monthly plans and a yearly one, in euros. */
export async function createPlans({ stripe }: TestStripe): Promise<Plans> {
  const create = async (
    name: string,
    unit_amount: number,
    interval: 'month' | 'year' = 'month',
  ): Promise<Stripe.Price> => {
    const product = await stripe.products.create({ name });
    return stripe.prices.create({
      product: product.id,
      currency: 'eur',
      unit_amount,
      recurring: { interval },
    });
  };
  return {
    team: await create('Team', 4900),
    business: await create('Business', 9900),
    teamYearly: await create('Team', 49_000, 'year'),
  };
}

export interface Clocked {
  readonly clock: Stripe.TestHelpers.TestClock;
  readonly customer: Stripe.Customer;
}

/** A customer who lives in the time of a test clock, and pays with a card. */
export async function createClocked(
  { stripe }: TestStripe,
  { card = 'pm_card_visa', start = START }: { card?: string | null; start?: number } = {},
): Promise<Clocked> {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: start });
  const customer = await stripe.customers.create({
    email: 'billing@globex.example',
    test_clock: clock.id,
    ...(card === null ? {} : { payment_method: card, invoice_settings: { default_payment_method: card } }),
  });
  return { clock, customer };
}

/** Advances a clock and waits until it stands again. */
export async function advance(
  { stripe }: TestStripe,
  clock: Stripe.TestHelpers.TestClock,
  to: number,
): Promise<void> {
  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: to });
  for (;;) {
    const { status } = await stripe.testHelpers.testClocks.retrieve(clock.id);
    if (status === 'ready') return;
    if (status !== 'advancing') throw new Error(`the clock is ${status}`);
  }
}

/** The events' types since the last look, the oldest first. */
export function watchEvents({ stripe }: TestStripe): () => Promise<string[]> {
  let seen: string | undefined;
  return async () => {
    const events = await stripe.events
      .list({ limit: 100, ...(seen === undefined ? {} : { ending_before: seen }) })
      .autoPagingToArray({ limit: 10_000 });
    // `ending_before` pages backwards, from the oldest to the newest.
    const ordered = seen === undefined ? events.reverse() : events;
    seen = ordered.at(-1)?.id ?? seen;
    return ordered.map(({ type }) => type);
  };
}

/** The one item of a subscription. */
export function itemOf({ items }: Stripe.Subscription): Stripe.SubscriptionItem {
  const [item] = items.data;
  if (item === undefined) throw new Error('a subscription without items');
  return item;
}

/** An id where nothing was expanded. */
export function idIn(ref: string | { id: string } | null): string {
  if (ref === null) throw new Error('there is no id');
  return typeof ref === 'string' ? ref : ref.id;
}

const CARDS = { pays: '4242 4242 4242 4242', declined: '4000 0000 0000 0002', later: '4000 0000 0000 0341' };

/** What a person types into a card form. */
export function cardForm(card: keyof typeof CARDS): Record<string, string> {
  return {
    card_number: CARDS[card],
    card_expiry: '12/34',
    card_cvc: '123',
    card_name: 'Hank Scorpio',
  };
}

/** Posts a form as a browser does, and follows nothing. */
export function postForm(url: string, fields: Record<string, string>): Promise<Response> {
  return fetch(url, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' });
}

const METER = 'mtr_test_calls';

/** A meter, and a price of half a cent for each call. */
export async function createMetered(test: TestStripe): Promise<Stripe.Price> {
  test.server.standIn.perform(null, ({ store }) => {
    store.put({
      id: METER,
      object: 'billing.meter',
      created: START,
      customer_mapping: { event_payload_key: 'stripe_customer_id', type: 'by_id' },
      default_aggregation: { formula: 'sum' },
      display_name: 'Calls',
      event_name: 'api_calls',
      event_time_window: null,
      livemode: false,
      status: 'active',
      status_transitions: { deactivated_at: null },
      updated: START,
      value_settings: { event_payload_key: 'value' },
    });
  });
  return createMeteredPrice(test, '0.5');
}

/** Another price of the same meter, in parts of a cent. */
export async function createMeteredPrice({ stripe }: TestStripe, cents: string): Promise<Stripe.Price> {
  const product = await stripe.products.create({ name: 'API calls' });
  return stripe.prices.create({
    product: product.id,
    currency: 'eur',
    unit_amount_decimal: Stripe.Decimal.from(cents),
    recurring: { interval: 'month', usage_type: 'metered', meter: METER },
  });
}

/** Reports a customer's calls at a time, which may also be one that is still to come. */
export function reportUsage(test: TestStripe, customer: string, calls: number, timestamp: number): void {
  const event: Stripe.Billing.MeterEvent = {
    object: 'billing.meter_event',
    created: timestamp,
    event_name: 'api_calls',
    identifier: `${customer}-${timestamp}-${calls}`,
    livemode: false,
    payload: { stripe_customer_id: customer, value: String(calls) },
    timestamp,
  };
  test.server.standIn.perform(null, (context) => {
    takeEvent(context, event, { meter: METER, customer, value: Stripe.Decimal.from(calls) });
  });
}
