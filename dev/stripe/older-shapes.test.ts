import type Stripe from 'stripe';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventInVersion } from './api/in-version.ts';
import type { ApiVersion } from './api/versions.ts';
import type { StripeObject } from './objects/kinds.ts';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';

// One of each major.
const ACACIA = '2024-12-18.acacia';
const BASIL = '2025-06-30.basil';
const CLOVER = '2025-11-17.clover';
const DAHLIA = '2026-04-22.dahlia';
const ENDIVE = '2026-10-28.endive';

const JANUARY = Date.UTC(2026, 0, 1) / 1000;
const FEBRUARY = Date.UTC(2026, 1, 1) / 1000;
const MARCH = Date.UTC(2026, 2, 1) / 1000;

let test: TestStripe;
let price: Stripe.Price;
let coupon: Stripe.Coupon;
let code: Stripe.PromotionCode;

/** As they are kept, in the shape of today; only what matters here. */
const put = (object: object): void => {
  test.server.standIn.perform(null, ({ store }) => store.put(object as StripeObject));
};

beforeAll(async () => {
  test = await startTestStripe();
  const { stripe } = test;
  await stripe.products.create({ id: 'prod_1', name: 'Team' });
  price = await stripe.prices.create({
    product: 'prod_1',
    currency: 'eur',
    unit_amount: 4900,
    recurring: { interval: 'month' },
  });
  coupon = await stripe.coupons.create({
    id: 'TEN',
    percent_off: 10,
    duration: 'forever',
    applies_to: { products: ['prod_1'] },
  });
  code = await stripe.promotionCodes.create({ promotion: { type: 'coupon', coupon: 'TEN' }, code: 'SPRING' });
  put(discount);
  put(subscription());
  put(intent);
  put(charge);
  put(payment);
  put(invoice());
});
afterAll(() => test.close());

const discount = {
  id: 'di_1',
  object: 'discount',
  customer: 'cus_1',
  end: null,
  promotion_code: null,
  source: { type: 'coupon', coupon: 'TEN' },
  start: JANUARY,
  subscription: 'sub_1',
};

const subscription = (start = JANUARY, end = FEBRUARY): object => ({
  id: 'sub_1',
  object: 'subscription',
  created: JANUARY,
  customer: 'cus_1',
  discounts: ['di_1'],
  items: {
    object: 'list',
    data: [
      {
        id: 'si_1',
        object: 'subscription_item',
        created: JANUARY,
        current_period_start: start,
        current_period_end: end,
        price,
      },
    ],
    has_more: false,
    url: '/v1/subscription_items',
  },
  metadata: { object: 'invoice', tenant_id: 'globex' },
  start_date: JANUARY,
  status: 'active',
});

const invoice = (status = 'paid'): object => ({
  id: 'in_1',
  object: 'invoice',
  amount_overpaid: 0,
  attempted: status === 'paid',
  created: JANUARY,
  discounts: ['di_1'],
  lines: {
    object: 'list',
    data: [
      {
        id: 'il_1',
        object: 'line_item',
        amount: 4900,
        metadata: {},
        parent: {
          type: 'subscription_item_details',
          invoice_item_details: null,
          subscription_item_details: {
            invoice_item: null,
            proration: true,
            proration_details: { credited_items: null },
            subscription: 'sub_1',
            subscription_item: 'si_1',
          },
        },
        pricing: {
          type: 'price_details',
          price_details: { price: price.id, product: 'prod_1' },
          unit_amount_decimal: price.unit_amount_decimal,
        },
        subscription: 'sub_1',
        taxes: [
          {
            amount: 782,
            tax_behavior: 'inclusive',
            tax_rate_details: { tax_rate: 'txr_1' },
            taxability_reason: 'standard_rated',
            taxable_amount: 4118,
            type: 'tax_rate_details',
          },
        ],
      },
    ],
    has_more: false,
    url: '/v1/invoices/in_1/lines',
  },
  metadata: {},
  parent: {
    type: 'subscription_details',
    quote_details: null,
    subscription_details: { metadata: { tenant_id: 'globex' }, subscription: 'sub_1' },
  },
  status,
  total: 4900,
  total_taxes: [
    {
      amount: 782,
      tax_behavior: 'inclusive',
      tax_rate_details: { tax_rate: 'txr_1' },
      taxability_reason: 'standard_rated',
      taxable_amount: 4118,
      type: 'tax_rate_details',
    },
  ],
});

const payment = {
  id: 'inpay_1',
  object: 'invoice_payment',
  created: JANUARY,
  invoice: 'in_1',
  is_default: true,
  payment: { type: 'payment_intent', payment_intent: 'pi_1' },
  status: 'paid',
};
const intent = { id: 'pi_1', object: 'payment_intent', created: JANUARY, latest_charge: 'ch_1' };
const charge = { id: 'ch_1', object: 'charge', created: JANUARY, payment_intent: 'pi_1' };

function render(version: ApiVersion, object: object, previous?: object) {
  const event = {
    id: 'evt_1',
    object: 'event',
    api_version: ENDIVE,
    data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
    type: 'customer.subscription.updated',
  };
  const { store } = test.server.standIn;
  const shown = eventInVersion(store, JANUARY, event as unknown as Stripe.EventBase, version);
  return JSON.parse(JSON.stringify(shown));
}
const show = (version: ApiVersion, object: object) => render(version, object).data.object;

it('the event says which version its endpoint has', () => {
  for (const version of [ACACIA, BASIL, CLOVER, DAHLIA, ENDIVE] as const)
    expect(render(version, subscription()).api_version).toBe(version);
});

it('what is kept is the shape of endive and of dahlia', () => {
  for (const version of [DAHLIA, ENDIVE] as const)
    for (const object of [subscription(), invoice(), discount, code, intent, charge])
      expect(show(version, object)).toEqual(JSON.parse(JSON.stringify(object)));
});

it('before basil a subscription had its period, and one discount, itself', () => {
  const now = show(BASIL, subscription());
  expect(now.items.data[0]).toMatchObject({ current_period_start: JANUARY, current_period_end: FEBRUARY });
  expect(now).not.toHaveProperty('current_period_end');
  expect(now).not.toHaveProperty('discount');
  const before = show(ACACIA, subscription());
  expect(before).toMatchObject({
    current_period_start: JANUARY,
    current_period_end: FEBRUARY,
    discounts: ['di_1'],
    discount: { id: 'di_1', coupon: { id: 'TEN', percent_off: 10, valid: true } },
    items: { data: [{ id: 'si_1', price: { recurring: { aggregate_usage: null } } }] },
    metadata: { object: 'invoice', tenant_id: 'globex' },
  });
  expect(before.items.data[0]).not.toHaveProperty('current_period_end');
  expect(before.discount).not.toHaveProperty('source');
  expect(before.discount.coupon).not.toHaveProperty('applies_to');
});

it('before basil an invoice named its subscription, payment, charge, taxes and discount itself', () => {
  const now = show(BASIL, invoice());
  expect(now.parent.subscription_details.subscription).toBe('sub_1');
  for (const gone of ['subscription', 'payment_intent', 'charge', 'paid', 'tax', 'discount', 'quote'])
    expect(now).not.toHaveProperty(gone);
  const before = show(ACACIA, invoice());
  expect(before).toMatchObject({
    subscription: 'sub_1',
    subscription_details: { metadata: { tenant_id: 'globex' } },
    payment_intent: 'pi_1',
    charge: 'ch_1',
    paid: true,
    paid_out_of_band: false,
    quote: null,
    tax: 782,
    total_tax_amounts: [{ amount: 782, inclusive: true, tax_rate: 'txr_1', taxable_amount: 4118 }],
    discount: { id: 'di_1', coupon: { id: 'TEN' } },
    application_fee_amount: null,
    transfer_data: null,
  });
  for (const later of ['parent', 'payments', 'total_taxes', 'amount_overpaid', 'confirmation_secret'])
    expect(before).not.toHaveProperty(later);
  expect(show(ACACIA, invoice('open'))).toMatchObject({ paid: false, payment_intent: 'pi_1', charge: null });
  expect(show(ACACIA, invoice('draft'))).toMatchObject({ payment_intent: null, charge: null });
});

it('before basil an invoice of no subscription had neither, and one paid elsewhere said so', () => {
  const manual = { ...invoice(), id: 'in_2', parent: null, discounts: [], total_taxes: null };
  put({
    id: 'inpay_2',
    object: 'invoice_payment',
    created: JANUARY,
    invoice: 'in_2',
    is_default: true,
    payment: { type: 'payment_record', payment_record: 'pr_1' },
    status: 'paid',
  });
  expect(show(ACACIA, manual)).toMatchObject({
    subscription: null,
    subscription_details: null,
    payment_intent: null,
    charge: null,
    paid_out_of_band: true,
    tax: null,
    total_tax_amounts: [],
    discount: null,
  });
  const quoted = {
    ...manual,
    parent: { type: 'quote_details', quote_details: { quote: 'qt_1' }, subscription_details: null },
  };
  expect(show(ACACIA, quoted)).toMatchObject({ quote: 'qt_1', subscription: null });
});

it('before basil a line had its price and plan whole, and named what it is for itself', () => {
  const [now] = show(BASIL, invoice()).lines.data;
  expect(now.pricing.price_details.price).toBe(price.id);
  for (const gone of ['price', 'plan', 'type', 'proration', 'subscription_item', 'tax_amounts'])
    expect(now).not.toHaveProperty(gone);
  const [before] = show(ACACIA, invoice()).lines.data;
  expect(before).toMatchObject({
    type: 'subscription',
    subscription: 'sub_1',
    subscription_item: 'si_1',
    proration: true,
    proration_details: { credited_items: null },
    price: { id: price.id, unit_amount: 4900, recurring: { interval: 'month', aggregate_usage: null } },
    plan: { id: price.id, object: 'plan', amount: 4900, amount_decimal: '4900', aggregate_usage: null },
    tax_amounts: [{ amount: 782, inclusive: true, tax_rate: 'txr_1' }],
    tax_rates: [],
    amount_excluding_tax: 4118,
    unit_amount_excluding_tax: '4900',
  });
  for (const later of ['parent', 'pricing', 'taxes', 'invoice_item'])
    expect(before).not.toHaveProperty(later);
});

it('before basil an invoice item had its price, amount and subscription itself, and a line named it', () => {
  const item = {
    id: 'ii_1',
    object: 'invoiceitem',
    date: JANUARY,
    parent: {
      type: 'subscription_details',
      subscription_details: { subscription: 'sub_1', subscription_item: 'si_1' },
    },
    pricing: {
      type: 'price_details',
      price_details: { price: price.id, product: 'prod_1' },
      unit_amount_decimal: price.unit_amount_decimal,
    },
  };
  expect(show(BASIL, item)).toMatchObject({ parent: { type: 'subscription_details' } });
  const before = show(ACACIA, item);
  expect(before).toMatchObject({
    price: { id: price.id },
    plan: { id: price.id },
    unit_amount: 4900,
    unit_amount_decimal: '4900',
    subscription: 'sub_1',
    subscription_item: 'si_1',
  });
  expect(before).not.toHaveProperty('parent');
  expect(before).not.toHaveProperty('pricing');
  const line = {
    id: 'il_2',
    object: 'line_item',
    amount: 100,
    parent: {
      type: 'invoice_item_details',
      invoice_item_details: { invoice_item: 'ii_1', proration: false, subscription: null },
      subscription_item_details: null,
    },
    pricing: null,
    taxes: [],
  };
  expect(show(ACACIA, line)).toMatchObject({
    type: 'invoiceitem',
    invoice_item: 'ii_1',
    price: null,
    plan: null,
    proration: false,
  });
});

it('before basil payments and charges named their invoice', () => {
  for (const object of [intent, charge]) {
    expect(show(BASIL, object)).not.toHaveProperty('invoice');
    expect(show(ACACIA, object).invoice).toBe('in_1');
  }
  expect(show(ACACIA, { ...intent, id: 'pi_2' }).invoice).toBeNull();
});

it('before clover a discount and a promotion code had their coupon whole, also a deleted one', async () => {
  expect(show(CLOVER, discount)).toMatchObject({ source: { type: 'coupon', coupon: 'TEN' } });
  expect(show(CLOVER, code)).toMatchObject({ promotion: { type: 'coupon', coupon: 'TEN' } });
  for (const version of [BASIL, ACACIA] as const) {
    expect(show(version, discount).coupon).toMatchObject({ id: 'TEN', percent_off: coupon.percent_off });
    expect(show(version, discount)).not.toHaveProperty('source');
    expect(show(version, code).coupon).toMatchObject({ id: 'TEN', object: 'coupon' });
    expect(show(version, code)).not.toHaveProperty('promotion');
  }
  const gone = await test.stripe.coupons.create({ id: 'GONE', percent_off: 5 });
  await test.stripe.coupons.del(gone.id);
  const left = { ...discount, source: { type: 'coupon', coupon: 'GONE' } };
  expect(show(BASIL, left).coupon).toMatchObject({ id: 'GONE', percent_off: 5 });
});

it('before dahlia a checkout had other names for how it is shown; before basil its address stood higher', () => {
  const session = {
    id: 'cs_1',
    object: 'checkout.session',
    created: JANUARY,
    collected_information: { shipping_details: { name: 'Globex' } },
    ui_mode: 'hosted_page',
  };
  expect(show(DAHLIA, session).ui_mode).toBe('hosted_page');
  for (const version of [CLOVER, BASIL, ACACIA] as const)
    expect(show(version, session).ui_mode).toBe('hosted');
  expect(show(CLOVER, { ...session, ui_mode: 'elements' }).ui_mode).toBe('custom');
  expect(show(BASIL, session)).not.toHaveProperty('shipping_details');
  expect(show(ACACIA, session).shipping_details).toEqual({ name: 'Globex' });
});

it('what was before a change is told in the shape of the version too', () => {
  const { items } = subscription(JANUARY, FEBRUARY) as Stripe.Subscription;
  const renewed = subscription(FEBRUARY, MARCH);
  const previous = { items: { data: items.data } };
  expect(Object.keys(render(BASIL, renewed, previous).data.previous_attributes)).toEqual(['items']);
  expect(render(ACACIA, renewed, previous).data.previous_attributes).toEqual({
    current_period_start: JANUARY,
    current_period_end: FEBRUARY,
  });
  expect(render(ACACIA, invoice('paid'), { status: 'open' }).data.previous_attributes).toEqual({
    paid: false,
    status: 'open',
  });
  expect(render(ENDIVE, invoice('paid'), { status: 'open' }).data.previous_attributes).toEqual({
    status: 'open',
  });
});

it('a request in an older version is answered in its shapes; events keep the version that they have', async () => {
  const ask = async (path: string, apiVersion: string) => {
    const answer = await test.stripe.rawRequest('GET', path, undefined, { apiVersion });
    return JSON.parse(JSON.stringify(answer));
  };
  expect(await ask('/v1/promotion_codes', BASIL)).toMatchObject({ data: [{ coupon: { id: 'TEN' } }] });
  expect(await ask('/v1/promotion_codes', CLOVER)).toMatchObject({
    data: [{ promotion: { coupon: 'TEN' } }],
  });
  const events = await ask('/v1/events?type=promotion_code.created', ACACIA);
  expect(events.data[0]).toMatchObject({ api_version: ENDIVE, data: { object: { promotion: {} } } });
  await expect(ask('/v1/customers', '2024-06-20')).rejects.toMatchObject({ statusCode: 501 });
  await expect(ask('/v1/customers', '2025-03-32.basil')).rejects.toMatchObject({ statusCode: 400 });
});
