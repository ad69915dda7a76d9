import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  START,
  advance,
  at,
  createClocked,
  createPlans,
  idIn,
  itemOf,
  watchEvents,
} from '../test-billing.ts';
import type { Plans } from '../test-billing.ts';
import { startTestStripe } from '../test-stripe.ts';
import type { TestStripe } from '../test-stripe.ts';

let test: TestStripe;
let stripe: Stripe;
let plans: Plans;

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(async () => {
  await test.ask('POST', '/_stand-in/reset');
  plans = await createPlans(test);
});

it('a subscription begins active and paid, and each change has its event', async () => {
  const { customer } = await createClocked(test);
  const events = watchEvents(test);
  await events();
  const made = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id, quantity: 2 }],
    metadata: { tenant_id: 'globex' },
    expand: ['latest_invoice.payments', 'latest_invoice.confirmation_secret'],
  });
  expect(made).toMatchObject({
    status: 'active',
    billing_cycle_anchor: START,
    billing_mode: { type: 'flexible' },
    latest_invoice: {
      status: 'paid',
      billing_reason: 'subscription_create',
      total: 9800,
      amount_paid: 9800,
      amount_remaining: 0,
      attempt_count: 1,
      number: `${customer.invoice_prefix}-0001`,
      parent: { subscription_details: { subscription: made.id, metadata: { tenant_id: 'globex' } } },
      payments: { data: [{ status: 'paid', amount_paid: 9800, payment: { type: 'payment_intent' } }] },
      confirmation_secret: { type: 'payment_intent' },
      total_taxes: [],
    },
  });
  expect(itemOf(made)).toMatchObject({
    quantity: 2,
    current_period_start: START,
    current_period_end: at('2026-02-28T10:00:00Z'),
  });
  const invoice = await stripe.invoices.retrieve(idIn(made.latest_invoice));
  expect(invoice.lines.data).toMatchObject([
    {
      amount: 9800,
      description: '2 × Team (at €49.00 / month)',
      pricing: { price_details: { price: plans.team.id, product: plans.team.product } },
      parent: {
        type: 'subscription_item_details',
        subscription_item_details: { subscription: made.id, proration: false },
      },
      period: { start: START, end: at('2026-02-28T10:00:00Z') },
    },
  ]);
  expect(await events()).toEqual([
    'customer.updated',
    'customer.subscription.created',
    'invoice.created',
    'payment_intent.created',
    'invoice.finalized',
    'charge.succeeded',
    'payment_intent.succeeded',
    'invoice.updated',
    'invoice.paid',
    'invoice.payment_succeeded',
    'invoice_payment.paid',
    'customer.subscription.updated',
  ]);
});

it('months keep their day where they have it', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  const ends: string[] = [];
  for (const to of ['2026-03-15', '2026-04-15', '2026-05-15', '2026-06-15']) {
    await advance(test, clock, at(`${to}T00:00:00Z`));
    const end = itemOf(await stripe.subscriptions.retrieve(id)).current_period_end;
    ends.push(new Date(end * 1000).toISOString());
  }
  expect(ends).toEqual([
    '2026-03-31T10:00:00.000Z',
    '2026-04-30T10:00:00.000Z',
    '2026-05-31T10:00:00.000Z',
    '2026-06-30T10:00:00.000Z',
  ]);
  const invoices = await stripe.invoices.list({ subscription: id, status: 'paid' });
  expect(invoices.data.map(({ number }) => number?.slice(-4))).toEqual([
    '0005',
    '0004',
    '0003',
    '0002',
    '0001',
  ]);
});

it('a renewal is a draft for an hour, and then it is paid', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  const end = at('2026-02-28T10:00:00Z');
  const events = watchEvents(test);
  await events();
  await advance(test, clock, end - 8 * DAY);
  expect(await events()).toEqual(['test_helpers.test_clock.advancing', 'test_helpers.test_clock.ready']);
  await advance(test, clock, end + HOUR / 2);
  expect(await events()).toEqual([
    'test_helpers.test_clock.advancing',
    'invoice.upcoming',
    'invoice.created',
    'customer.subscription.updated',
    'test_helpers.test_clock.ready',
  ]);
  const renewed = await stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] });
  expect(itemOf(renewed)).toMatchObject({
    current_period_start: end,
    current_period_end: at('2026-03-31T10:00:00Z'),
  });
  expect(renewed.latest_invoice).toMatchObject({
    status: 'draft',
    billing_reason: 'subscription_cycle',
    created: end,
    auto_advance: true,
    automatically_finalizes_at: end + HOUR,
    next_payment_attempt: end + HOUR,
    number: null,
    period_start: START,
    period_end: end,
  });
  await advance(test, clock, end + 2 * HOUR);
  expect(await events()).toEqual([
    'test_helpers.test_clock.advancing',
    'payment_intent.created',
    'invoice.finalized',
    'charge.succeeded',
    'payment_intent.succeeded',
    'invoice.updated',
    'invoice.paid',
    'invoice.payment_succeeded',
    'invoice_payment.paid',
    'test_helpers.test_clock.ready',
  ]);
  const invoice = await stripe.invoices.retrieve(idIn(renewed.latest_invoice));
  expect(invoice).toMatchObject({
    status: 'paid',
    status_transitions: { finalized_at: end + HOUR, paid_at: end + HOUR },
    attempt_count: 1,
    auto_advance: false,
    next_payment_attempt: null,
  });
});

it('a clock goes two intervals at once, and no further; nothing is changed on its way', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  const go = (frozen_time: number): Promise<Stripe.TestHelpers.TestClock> =>
    stripe.testHelpers.testClocks.advance(clock.id, { frozen_time });
  await expect(go(at('2026-04-01T00:00:00Z'))).rejects.toMatchObject({
    statusCode: 400,
    param: 'frozen_time',
  });
  await expect(go(START)).rejects.toMatchObject({ statusCode: 400, param: 'frozen_time' });
  expect(await go(at('2026-03-31T10:00:00Z'))).toMatchObject({
    status: 'advancing',
    status_details: { advancing: { target_frozen_time: at('2026-03-31T10:00:00Z') } },
  });
  await expect(stripe.subscriptions.cancel(id)).rejects.toMatchObject({
    statusCode: 429,
    message: `Test clock advancement underway - cannot perform modifications: ${clock.id}`,
  });
  for (;;) if ((await stripe.testHelpers.testClocks.retrieve(clock.id)).status === 'ready') break;
  expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(3);
  expect(await stripe.subscriptions.cancel(id)).toMatchObject({ status: 'canceled' });
});

it('many months are passed in steps, each invoice in its own time', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  for (let month = 1; month <= 12; month += 1)
    await advance(test, clock, Date.UTC(2026, 1 + month, 15) / 1000);
  const invoices = await stripe.invoices.list({ subscription: id, limit: 100 });
  expect(invoices.data.map(({ status }) => status)).toEqual(Array.from({ length: 13 }, () => 'paid'));
  const times = invoices.data.map(({ created }) => created);
  expect(times).toEqual(times.toSorted((one, other) => other - one));
  expect(times[0]).toBe(at('2027-01-31T10:00:00Z'));
});

it('an advance that a stop comes into goes on after it', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: at('2026-03-30T00:00:00Z') });
  await test.restart();
  ({ stripe } = test);
  for (;;) if ((await stripe.testHelpers.testClocks.retrieve(clock.id)).status === 'ready') break;
  const { data } = await stripe.invoices.list({ subscription: id });
  expect(data.map(({ status, created }) => [status, created])).toEqual([
    ['paid', at('2026-02-28T10:00:00Z')],
    ['paid', START],
  ]);
});

it('a test clock takes its customers with it', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  await stripe.testHelpers.testClocks.del(clock.id);
  expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ deleted: true });
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled' });
});

it('a first period may be short, up to an anchor', async () => {
  const { customer } = await createClocked(test);
  const anchor = at('2026-02-10T10:00:00Z');
  const made = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
    billing_cycle_anchor: anchor,
    expand: ['latest_invoice'],
  });
  // 10 of the 31 days between 10 January and 10 February.
  expect(made.latest_invoice).toMatchObject({ total: Math.round((4900 * 10) / 31), status: 'paid' });
  expect(itemOf(made)).toMatchObject({ current_period_start: START, current_period_end: anchor });
  const free = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
    billing_cycle_anchor: anchor,
    proration_behavior: 'none',
  });
  expect(free).toMatchObject({ status: 'active', latest_invoice: null });
  const late = {
    customer: customer.id,
    items: [{ price: plans.team.id }],
    billing_cycle_anchor: anchor + 31 * DAY,
  };
  await expect(stripe.subscriptions.create(late)).rejects.toMatchObject({ param: 'billing_cycle_anchor' });
});

it('the same key makes one subscription', async () => {
  const { customer } = await createClocked(test);
  const create = (): Promise<Stripe.Subscription> =>
    stripe.subscriptions.create(
      { customer: customer.id, items: [{ price: plans.team.id }] },
      { idempotencyKey: 'subscribe-globex' },
    );
  const [one, other] = [await create(), await create()];
  expect(other.id).toBe(one.id);
  expect((await stripe.subscriptions.list({ customer: customer.id })).data).toHaveLength(1);
  expect((await stripe.charges.list({ customer: customer.id })).data).toHaveLength(1);
});
