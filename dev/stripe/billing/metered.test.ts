import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  START,
  advance,
  at,
  createClocked,
  createMetered,
  createMeteredPrice,
  createPlans,
  idIn,
  itemOf,
  reportUsage,
} from '../test-billing.ts';
import type { Plans } from '../test-billing.ts';
import { startTestStripe } from '../test-stripe.ts';
import type { TestStripe } from '../test-stripe.ts';

let test: TestStripe;
let stripe: Stripe;
let plans: Plans;
let calls: Stripe.Price;

const END = at('2026-02-28T10:00:00Z');

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(async () => {
  await test.ask('POST', '/_stand-in/reset');
  plans = await createPlans(test);
  calls = await createMetered(test);
});

interface Metered {
  readonly id: string;
  readonly customer: string;
  readonly clock: Stripe.TestHelpers.TestClock;
  /** The metered item. */
  readonly item: string;
}

async function subscribe(plan: Stripe.Price = plans.team): Promise<Metered> {
  const { customer, clock } = await createClocked(test);
  const made = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plan.id }, { price: calls.id }],
  });
  return { id: made.id, customer: customer.id, clock, item: made.items.data[1]?.id ?? '' };
}

const newest = async (id: string): Promise<Stripe.Invoice> =>
  stripe.invoices.retrieve(idIn((await stripe.subscriptions.retrieve(id)).latest_invoice));

it('usage is billed when its period is over, late events too for as long as the draft waits', async () => {
  const { id, customer, clock } = await subscribe();
  expect((await newest(id)).lines.data).toHaveLength(1);
  reportUsage(test, customer, 100, START + DAY);
  reportUsage(test, customer, 33, END - 1);
  reportUsage(test, customer, 1000, END);
  expect(await stripe.invoices.createPreview({ subscription: id })).toMatchObject({ total: 4967 });
  await advance(test, clock, END + HOUR / 2);
  const draft = await newest(id);
  expect(draft).toMatchObject({
    status: 'draft',
    lines: {
      data: [
        {
          amount: 67,
          quantity: 133,
          description: '133 × API calls (at €0.005 / month)',
          period: { start: START, end: END },
        },
        { amount: 4900 },
      ],
    },
  });
  reportUsage(test, customer, 7, END - 10);
  await advance(test, clock, END + 2 * HOUR);
  expect(await stripe.invoices.retrieve(draft.id)).toMatchObject({ status: 'paid', total: 4970 });
});

it('what is only metered has no first invoice, and no quantity', async () => {
  const { customer } = await createClocked(test);
  const create = (more: { quantity?: number }): Promise<Stripe.Subscription> =>
    stripe.subscriptions.create({ customer: customer.id, items: [{ price: calls.id, ...more }] });
  await expect(create({ quantity: 1 })).rejects.toMatchObject({ statusCode: 400 });
  const made = await create({});
  expect(made).toMatchObject({ status: 'active', latest_invoice: null });
  expect(itemOf(made)).not.toHaveProperty('quantity');
});

it('usage before a change of its price is billed at the old one, and that after it at the new one', async () => {
  const { id, customer, clock, item } = await subscribe();
  const dearer = await createMeteredPrice(test, '2');
  reportUsage(test, customer, 1000, START + DAY);
  await advance(test, clock, START + 10 * DAY);
  await stripe.subscriptions.update(id, {
    items: [{ id: item, price: dearer.id }],
    proration_behavior: 'none',
  });
  expect((await stripe.invoiceItems.list({ customer })).data).toMatchObject([
    { amount: 500, proration: false, period: { start: START, end: START + 10 * DAY } },
  ]);
  reportUsage(test, customer, 100, START + 11 * DAY);
  reportUsage(test, customer, 5000, START + 9 * DAY); // too late: that part of the period is closed
  await advance(test, clock, END + 2 * HOUR);
  const { lines, total } = await newest(id);
  expect(lines.data.map(({ amount }) => amount)).toEqual([200, 4900, 500]);
  expect(total).toBe(5600);
});

it('usage of an item that goes is billed', async () => {
  const { id, customer, clock, item } = await subscribe();
  reportUsage(test, customer, 1000, START + DAY);
  await advance(test, clock, START + 10 * DAY);
  await stripe.subscriptionItems.del(item);
  await advance(test, clock, END + 2 * HOUR);
  expect((await newest(id)).lines.data.map(({ amount }) => amount)).toEqual([4900, 500]);
});

it('usage of the last period is billed when the subscription ends with it', async () => {
  const { id, customer, clock } = await subscribe();
  await stripe.subscriptions.update(id, { cancel_at_period_end: true });
  reportUsage(test, customer, 1000, START + DAY);
  expect(await stripe.invoices.createPreview({ subscription: id })).toMatchObject({ total: 500 });
  await advance(test, clock, END + 2 * HOUR);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled' });
  expect(await newest(id)).toMatchObject({ status: 'paid', total: 500 });
});

it('a new period that begins in the middle bills the usage so far', async () => {
  const { id, customer, clock } = await subscribe();
  reportUsage(test, customer, 1000, START + DAY);
  await advance(test, clock, START + 14 * DAY);
  await stripe.subscriptions.update(id, { billing_cycle_anchor: { type: 'now' } });
  expect((await newest(id)).lines.data.map(({ amount }) => amount)).toEqual([500, 4900, -2450]);
  reportUsage(test, customer, 100, START + 15 * DAY);
  expect((await stripe.invoices.createPreview({ subscription: id })).lines.data[0]).toMatchObject({
    amount: 50,
  });
});

it('a yearly plan may be billed for its usage each month', async () => {
  const { id, customer, clock } = await subscribe(plans.teamYearly);
  reportUsage(test, customer, 1000, START + DAY);
  await advance(test, clock, END + 2 * HOUR);
  expect(await newest(id)).toMatchObject({ status: 'paid', total: 500, lines: { data: [{ amount: 500 }] } });
  const { items } = await stripe.subscriptions.retrieve(id);
  const ends = items.data.map(({ current_period_end }) => current_period_end);
  expect(ends).toEqual([at('2027-01-31T10:00:00Z'), at('2026-03-31T10:00:00Z')]);
  // Whose period end is meant?
  await expect(stripe.subscriptions.update(id, { cancel_at_period_end: true })).rejects.toMatchObject({
    statusCode: 501,
  });
  const canceled = await stripe.subscriptions.update(id, { cancel_at: 'min_period_end' });
  expect(canceled.cancel_at).toBe(at('2026-03-31T10:00:00Z'));
  await advance(test, clock, at('2026-04-01T00:00:00Z'));
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled' });
});
