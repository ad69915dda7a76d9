import type Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { START, advance, createClocked, createMetered, createPlans } from '../dev/stripe/test-billing.ts';
import type { Plans } from '../dev/stripe/test-billing.ts';
import { startTestStripe } from '../dev/stripe/test-stripe.ts';
import type { TestStripe } from '../dev/stripe/test-stripe.ts';
import * as shapes from '../shared/domains/billing/stripe/stripe-shapes.ts';

// One version of each major, as webhook endpoints and older clients have them.
const VERSIONS = [
  '2024-12-18.acacia',
  '2025-06-30.basil',
  '2025-11-17.clover',
  '2026-04-22.dahlia',
  '2026-10-28.endive',
];
const FEBRUARY = new Date('2026-02-28T10:00:00Z');

let test: TestStripe;
let plans: Plans;
let customer: Stripe.Customer;
let subscription: Stripe.Subscription;

beforeAll(async () => {
  test = await startTestStripe();
  plans = await createPlans(test);
  const metered = await createMetered(test);
  const clocked = await createClocked(test);
  ({ customer } = clocked);
  const coupon = await test.stripe.coupons.create({ id: 'TEN', percent_off: 10, duration: 'forever' });
  const code = await test.stripe.promotionCodes.create({
    code: 'SPRING',
    promotion: { type: 'coupon', coupon: coupon.id },
  });
  subscription = await test.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: metered.id }, { price: plans.team.id }],
    discounts: [{ promotion_code: code.id }],
    metadata: { tenant_id: 'globex' },
  });
  await advance(test, clocked.clock, START + 60);
});
afterAll(() => test.close());

/** As Stripe answers a client of that version. */
async function fetchAs(version: string, path: string): Promise<Record<string, unknown>> {
  const answer = await fetch(test.server.url + path, {
    headers: { authorization: `Bearer ${test.secretKey}`, 'stripe-version': version },
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

describe.each(VERSIONS)('in the shape of %s', (version) => {
  it('a subscription’s period, items, prices, discount, customer and metadata are read', async () => {
    const path = `/v1/subscriptions/${subscription.id}?expand[]=discounts`;
    const read = await fetchAs(version, path);
    expect(shapes.periodStart(read)).toEqual(new Date(START * 1000));
    expect(shapes.periodEnd(read)).toEqual(FEBRUARY);
    expect(shapes.customerOf(read)).toBe(customer.id);
    expect(shapes.metadataOf(read, 'tenant_id')).toBe('globex');
    expect(shapes.cancelAt(read)).toBeUndefined();
    const items = shapes.itemsOf(read);
    expect(items.map(({ price }) => price.isMetered).sort()).toEqual([false, true]);
    expect(items.find(({ price }) => !price.isMetered)).toMatchObject({
      price: { id: plans.team.id, productId: plans.team.product, interval: 'month' },
      periodEnd: FEBRUARY,
    });
    expect(shapes.discountsOf(read)).toEqual([
      {
        id: expect.stringMatching(/^di_/),
        couponId: 'TEN',
        promotionCodeId: expect.stringMatching(/^promo_/),
      },
    ]);
  });

  it('an invoice’s subscription, payment, discount and lines are read', async () => {
    const [invoice] = (await test.stripe.invoices.list({ subscription: subscription.id })).data;
    const expand = version.endsWith('acacia') ? '' : '?expand[]=payments';
    const read = await fetchAs(version, `/v1/invoices/${invoice?.id}${expand}`);
    expect(shapes.subscriptionOf(read)).toBe(subscription.id);
    expect(shapes.paymentOf(read)).toMatch(/^pi_/);
    expect(shapes.paymentIntentsOf(read)).toHaveLength(1);
    expect(shapes.discountOf(read)).toBe(490);
    expect(shapes.taxOf(read)).toBe(0);
    const lines = (read['lines'] as { data: unknown[] }).data.map((line) => shapes.lineOf(line));
    expect(lines).toContainEqual(
      expect.objectContaining({
        amount: 4900,
        priceId: plans.team.id,
        subscriptionId: subscription.id,
        isProration: false,
        periodEnd: FEBRUARY,
      }),
    );
    const intent = await fetchAs(version, `/v1/payment_intents/${shapes.paymentOf(read)}`);
    expect(shapes.invoiceOf(intent)).toBe(version.endsWith('acacia') ? invoice?.id : undefined);
  });

  it('a promotion code’s coupon is read', async () => {
    const { data } = await test.stripe.promotionCodes.list({ code: 'SPRING' });
    expect(shapes.couponOf(await fetchAs(version, `/v1/promotion_codes/${data[0]?.id}`))).toBe('TEN');
  });

  it('a planned end is read, with either field', async () => {
    await test.stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
    const read = await fetchAs(version, `/v1/subscriptions/${subscription.id}`);
    expect(shapes.cancelAt(read)).toEqual(FEBRUARY);
    expect(shapes.cancelAt({ ...read, cancel_at: null })).toEqual(FEBRUARY);
    await test.stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
  });
});

it('taxes are read as each version has them', () => {
  expect(shapes.taxOf({ total_taxes: [{ amount: 700 }, { amount: 82 }] })).toBe(782);
  expect(shapes.taxOf({ total_tax_amounts: [{ amount: 782 }], tax: 782 })).toBe(782);
  expect(shapes.taxOf({ tax: 782 })).toBe(782);
});

it('of items with different periods, the one that ends first is the subscription’s', () => {
  const item = (id: string, start: number, end: number) => ({
    id,
    price: { id: `price_${id}` },
    current_period_start: start,
    current_period_end: end,
  });
  const mixed = { items: { data: [item('si_1', 100, 900), item('si_2', 50, 400)] } };
  expect(shapes.periodEnd(mixed)).toEqual(new Date(400_000));
  expect(shapes.periodStart(mixed)).toEqual(new Date(50_000));
});

it('an item that only has the older plan is read', () => {
  const plan = { id: 'price_1', interval: 'year', usage_type: 'metered', product: 'prod_1' };
  expect(shapes.priceOf({ plan })).toEqual({
    id: 'price_1',
    productId: 'prod_1',
    interval: 'year',
    isMetered: true,
  });
});

it.each([
  null,
  undefined,
  'text',
  7,
  [],
  {},
  { items: 'x', parent: 5, payments: { data: null }, __proto__: {} },
])('nothing is read of %j, and nothing throws', (value) => {
  expect(shapes.itemsOf(value)).toEqual([]);
  expect(shapes.discountsOf(value)).toEqual([]);
  expect(shapes.paymentIntentsOf(value)).toEqual([]);
  expect(shapes.taxOf(value) + shapes.discountOf(value)).toBe(0);
  for (const read of [
    shapes.periodStart,
    shapes.periodEnd,
    shapes.cancelAt,
    shapes.customerOf,
    shapes.subscriptionOf,
    shapes.paymentOf,
    shapes.invoiceOf,
    shapes.paymentIntentOf,
    shapes.couponOf,
    shapes.priceOf,
    shapes.lineOf,
  ])
    expect(read(value)).toBeUndefined();
});

it('what is inherited is not read, and a time that no Date holds is none', () => {
  expect(shapes.customerOf(Object.create({ customer: 'cus_1' }))).toBeUndefined();
  expect(shapes.instantOf(1e15)).toBeUndefined();
  expect(shapes.instantOf(-1)).toBeUndefined();
  expect(shapes.instantOf(1.5)).toBeUndefined();
});
