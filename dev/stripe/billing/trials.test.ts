import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  START,
  advance,
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

const startTrial = (
  customer: string,
  missing_payment_method: 'cancel' | 'create_invoice' | 'pause' = 'create_invoice',
): Promise<Stripe.Subscription> =>
  stripe.subscriptions.create({
    customer,
    items: [{ price: plans.team.id }],
    trial_period_days: 14,
    trial_settings: { end_behavior: { missing_payment_method } },
  });

it('a trial costs nothing, warns three days before its end, and then is paid for', async () => {
  const { customer, clock } = await createClocked(test);
  const made = await startTrial(customer.id);
  const end = START + 14 * DAY;
  expect(made).toMatchObject({
    status: 'trialing',
    trial_start: START,
    trial_end: end,
    billing_cycle_anchor: end,
  });
  expect(itemOf(made)).toMatchObject({ current_period_start: START, current_period_end: end });
  const first = await stripe.invoices.retrieve(idIn(made.latest_invoice), { expand: ['payments'] });
  expect(first).toMatchObject({
    status: 'paid',
    total: 0,
    amount_due: 0,
    payments: { data: [] },
    lines: { data: [{ amount: 0, description: 'Trial period for Team' }] },
  });
  const events = watchEvents(test);
  await events();
  await advance(test, clock, end - 2 * DAY);
  expect((await events()).filter((type) => !type.startsWith('test_helpers'))).toEqual([
    'invoice.upcoming',
    'customer.subscription.trial_will_end',
  ]);
  await advance(test, clock, end + 2 * HOUR);
  expect(await events()).toEqual([
    'test_helpers.test_clock.advancing',
    'invoice.created',
    'customer.subscription.updated',
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
  const paid = await stripe.subscriptions.retrieve(made.id, { expand: ['latest_invoice'] });
  expect(paid).toMatchObject({
    status: 'active',
    latest_invoice: { status: 'paid', total: 4900, billing_reason: 'subscription_cycle' },
  });
  const [updated] = (await stripe.events.list({ type: 'customer.subscription.updated' })).data;
  expect(updated?.data.previous_attributes).toMatchObject({ status: 'trialing' });
});

it('a short trial warns at once', async () => {
  const { customer, clock } = await createClocked(test);
  const events = watchEvents(test);
  await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
    trial_end: START + DAY,
  });
  await events();
  await advance(test, clock, START + HOUR);
  expect(await events()).toContain('customer.subscription.trial_will_end');
});

it('a trial without a card ends as its settings say', async () => {
  const { customer, clock } = await createClocked(test, { card: null });
  const canceled = await startTrial(customer.id, 'cancel');
  const paused = await startTrial(customer.id, 'pause');
  const billed = await startTrial(customer.id);
  await advance(test, clock, START + 14 * DAY + 2 * HOUR);
  expect(await stripe.subscriptions.retrieve(canceled.id)).toMatchObject({ status: 'canceled' });
  expect(await stripe.subscriptions.retrieve(paused.id)).toMatchObject({
    status: 'paused',
    status_details: { paused: { subscription: { type: 'trial_end_without_payment_method' } } },
  });
  expect(await stripe.subscriptions.retrieve(billed.id, { expand: ['latest_invoice'] })).toMatchObject({
    status: 'past_due',
    latest_invoice: { status: 'open', attempt_count: 1 },
  });
  expect((await stripe.events.list({ type: 'customer.subscription.paused' })).data).toHaveLength(1);
});

it('what was paused is resumed with a card: a period begins then', async () => {
  const { customer, clock } = await createClocked(test, { card: null });
  const { id } = await startTrial(customer.id, 'pause');
  const now = START + 20 * DAY;
  await advance(test, clock, now);
  await expect(stripe.subscriptions.resume(id)).rejects.toMatchObject({ code: 'resource_missing' });
  await stripe.customers.update(customer.id, {
    invoice_settings: { default_payment_method: 'pm_card_visa' },
  });
  const resumed = await stripe.subscriptions.resume(id, undefined, {});
  expect(resumed).toMatchObject({ status: 'active', billing_cycle_anchor: now });
  expect(resumed).not.toHaveProperty('status_details');
  expect(itemOf(resumed).current_period_start).toBe(now);
  expect((await stripe.events.list({ type: 'customer.subscription.resumed' })).data).toHaveLength(1);
  await expect(stripe.subscriptions.resume(id)).rejects.toMatchObject({ statusCode: 400 });
});

it('a trial can be ended now: the first period begins and is paid', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await startTrial(customer.id);
  const now = START + 5 * DAY;
  await advance(test, clock, now);
  const ended = await stripe.subscriptions.update(id, { trial_end: 'now', expand: ['latest_invoice'] });
  expect(ended).toMatchObject({
    status: 'active',
    trial_end: now,
    billing_cycle_anchor: now,
    latest_invoice: { status: 'paid', total: 4900, billing_reason: 'subscription_update' },
  });
});

it('a trial can be longer, and another plan tried in it, without any charge', async () => {
  const { customer, clock } = await createClocked(test);
  const made = await startTrial(customer.id);
  await advance(test, clock, START + 5 * DAY);
  const end = START + 30 * DAY;
  const changed = await stripe.subscriptions.update(made.id, {
    trial_end: end,
    items: [{ id: itemOf(made).id, price: plans.business.id }],
    proration_behavior: 'always_invoice',
  });
  expect(changed).toMatchObject({ status: 'trialing', trial_end: end, latest_invoice: made.latest_invoice });
  expect(itemOf(changed)).toMatchObject({ current_period_end: end, price: { id: plans.business.id } });
  expect((await stripe.invoiceItems.list({ customer: customer.id })).data).toEqual([]);
  await advance(test, clock, end + 2 * HOUR);
  const [invoice] = (await stripe.invoices.list({ subscription: made.id })).data;
  expect(invoice).toMatchObject({ status: 'paid', total: 9900 });
});

it('a canceled trial ends with the trial, and costs nothing', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await startTrial(customer.id);
  await stripe.subscriptions.update(id, { cancel_at_period_end: true });
  await advance(test, clock, START + 15 * DAY);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({
    status: 'canceled',
    ended_at: START + 14 * DAY,
  });
  expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(1);
});

it('what a trial cannot be is refused', async () => {
  const { customer } = await createClocked(test);
  const create = (more: Partial<Stripe.SubscriptionCreateParams>): Promise<unknown> =>
    stripe.subscriptions.create({ customer: customer.id, items: [{ price: plans.team.id }], ...more });
  await expect(create({ trial_end: START - 1 })).rejects.toMatchObject({ param: 'trial_end' });
  await expect(create({ trial_end: START + 800 * DAY })).rejects.toMatchObject({ param: 'trial_end' });
  await expect(create({ trial_end: START + DAY, trial_period_days: 1 })).rejects.toMatchObject({
    statusCode: 400,
  });
});
