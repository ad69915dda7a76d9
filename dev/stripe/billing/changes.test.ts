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

const END = at('2026-02-28T10:00:00Z'); // 28 days after the start

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(async () => {
  await test.ask('POST', '/_stand-in/reset');
  plans = await createPlans(test);
});

interface Running {
  readonly id: string;
  readonly item: string;
  readonly customer: string;
  readonly clock: Stripe.TestHelpers.TestClock;
}

/** A subscription to the team plan, `days` after its first payment. */
async function start(days: number, more: Partial<Stripe.SubscriptionCreateParams> = {}): Promise<Running> {
  const { customer, clock } = await createClocked(test);
  const made = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
    ...more,
  });
  if (days > 0) await advance(test, clock, START + days * DAY);
  return { id: made.id, item: itemOf(made).id, customer: customer.id, clock };
}

/** What a preview and its invoice must have in common. */
const compare = ({ lines, ...invoice }: Stripe.Invoice): object => ({
  lines: lines.data.map(({ amount, description, period, pricing, discount_amounts }) => ({
    amount,
    description,
    period,
    price: pricing?.price_details?.price,
    discounted: discount_amounts?.map((one) => one.amount),
  })),
  amount_due: invoice.amount_due,
  currency: invoice.currency,
  starting_balance: invoice.starting_balance,
  subtotal: invoice.subtotal,
  total: invoice.total,
});

it('an upgrade that is invoiced at once costs what its preview said, to the cent', async () => {
  const { id, item, clock } = await start(10);
  const proration_date = START + 10 * DAY;
  const change = { items: [{ id: item, price: plans.business.id }], proration_date };
  const events = watchEvents(test);
  await events();
  const preview = await stripe.invoices.createPreview({
    subscription: id,
    subscription_details: { ...change, proration_behavior: 'always_invoice' },
  });
  const [credit, debit] = [Math.round((4900 * 18) / 28), Math.round((9900 * 18) / 28)];
  expect(preview).toMatchObject({
    id: expect.stringMatching(/^upcoming_in_/),
    status: 'draft',
    number: null,
    total: debit - credit,
    amount_due: debit - credit,
    parent: { subscription_details: { subscription_proration_date: proration_date } },
    lines: {
      data: [
        {
          amount: -credit,
          description: 'Unused time on Team after 10 Feb 2026',
          parent: { subscription_item_details: { proration: true } },
        },
        { amount: debit, description: 'Remaining time on Business after 10 Feb 2026' },
      ],
    },
  });
  // A preview leaves nothing behind.
  expect(await events()).toEqual([]);
  expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(1);
  expect(itemOf(await stripe.subscriptions.retrieve(id)).price.id).toBe(plans.team.id);
  await advance(test, clock, proration_date + 50);
  await events();
  const changed = await stripe.subscriptions.update(id, {
    ...change,
    proration_behavior: 'always_invoice',
    expand: ['latest_invoice'],
  });
  const invoice = changed.latest_invoice as Stripe.Invoice;
  expect(compare(invoice)).toEqual(compare(preview));
  expect(invoice).toMatchObject({ status: 'paid', billing_reason: 'subscription_update' });
  expect(itemOf(changed)).toMatchObject({
    id: item,
    price: { id: plans.business.id },
    plan: { amount: 9900 },
    current_period_start: START,
    current_period_end: END,
  });
  expect((await events()).slice(0, 4)).toEqual([
    'invoiceitem.created',
    'invoiceitem.created',
    'invoice.created',
    'customer.subscription.updated',
  ]);
});

it('an upgrade may wait for the renewal: its preview is the renewal with its prorations', async () => {
  const { id, item, clock } = await start(10);
  const items = [{ id: item, price: plans.business.id, quantity: 3 }];
  const proration_date = START + 10 * DAY;
  const preview = await stripe.invoices.createPreview({
    subscription: id,
    subscription_details: { items, proration_date },
  });
  const changed = await stripe.subscriptions.update(id, { items, proration_date });
  expect(changed).toMatchObject({ status: 'active' });
  expect((await stripe.invoiceItems.list({ pending: true })).data).toHaveLength(2);
  const upcoming = await stripe.invoices.createPreview({ subscription: id });
  await advance(test, clock, END + 2 * HOUR);
  const [invoice] = (await stripe.invoices.list({ subscription: id })).data;
  expect(invoice).toMatchObject({ status: 'paid', billing_reason: 'subscription_cycle' });
  if (invoice === undefined) throw new Error('there is no invoice');
  expect(compare(preview)).toEqual(compare(invoice));
  expect(compare(upcoming)).toEqual(compare(invoice));
  expect(invoice.lines.data.map(({ description }) => description)).toEqual([
    '3 × Business (at €99.00 / month)',
    'Unused time on Team after 10 Feb 2026',
    'Remaining time on 3 × Business after 10 Feb 2026',
  ]);
});

it('a downgrade leaves a credit, which pays the next invoices', async () => {
  const { id, item, customer, clock } = await start(14, {
    items: [{ price: plans.business.id, quantity: 4 }],
  });
  await stripe.subscriptions.update(id, {
    items: [{ id: item, price: plans.team.id, quantity: 1 }],
    proration_behavior: 'always_invoice',
  });
  const total = Math.round(4900 / 2) - Math.round((4 * 9900) / 2);
  const [invoice] = (await stripe.invoices.list({ subscription: id })).data;
  expect(invoice).toMatchObject({ status: 'paid', total, amount_due: 0, ending_balance: total });
  expect(await stripe.customers.retrieve(customer)).toMatchObject({ balance: total });
  expect(await stripe.invoices.createPreview({ subscription: id })).toMatchObject({
    starting_balance: total,
    total: 4900,
    amount_due: 0,
  });
  for (let month = 1; month <= 4; month += 1) await advance(test, clock, Date.UTC(2026, 1 + month, 3) / 1000);
  const invoices = (await stripe.invoices.list({ subscription: id })).data.slice(0, 4).reverse();
  const due = [0, 4900, 9800, 14_700].map((before) => Math.max(0, 4900 + Math.min(0, total + before)));
  expect(invoices.map(({ amount_due }) => amount_due)).toEqual(due);
  expect(await stripe.customers.retrieve(customer)).toMatchObject({ balance: 0 });
});

it('each change credits what was charged last, and nothing twice', async () => {
  const { id, item, clock } = await start(7);
  const change = (price: string): Promise<Stripe.Subscription> =>
    stripe.subscriptions.update(id, { items: [{ id: item, price }], proration_behavior: 'always_invoice' });
  await change(plans.business.id);
  await advance(test, clock, START + 14 * DAY);
  await change(plans.team.id);
  await advance(test, clock, START + 21 * DAY);
  await change(plans.business.id);
  const totals = (await stripe.invoices.list({ subscription: id })).data.map(({ total }) => total).reverse();
  // 28 days: a quarter of the difference of 50.00 a week.
  expect(totals).toEqual([4900, 3750, -2500, 1250]);
});

it('without prorations a change counts from the renewal on', async () => {
  const { id, item, clock } = await start(10);
  await stripe.subscriptions.update(id, {
    items: [{ id: item, price: plans.business.id }],
    proration_behavior: 'none',
  });
  expect((await stripe.invoiceItems.list()).data).toEqual([]);
  await advance(test, clock, END + 2 * HOUR);
  expect((await stripe.invoices.list({ subscription: id })).data[0]).toMatchObject({ total: 9900 });
});

it('another interval begins a new period now, which is invoiced now', async () => {
  const { id, item, clock } = await start(7);
  const now = START + 7 * DAY;
  const items = [{ id: item, price: plans.teamYearly.id }];
  const preview = await stripe.invoices.createPreview({ subscription: id, subscription_details: { items } });
  const changed = await stripe.subscriptions.update(id, { items, expand: ['latest_invoice'] });
  const invoice = changed.latest_invoice as Stripe.Invoice;
  expect(compare(invoice)).toEqual(compare(preview));
  expect(invoice).toMatchObject({ status: 'paid', total: 49_000 - 3675 });
  expect(changed.billing_cycle_anchor).toBe(now);
  expect(itemOf(changed)).toMatchObject({
    current_period_start: now,
    current_period_end: at('2027-02-07T10:00:00Z'),
  });
  await advance(test, clock, at('2027-02-07T12:00:00Z'));
  expect((await stripe.invoices.list({ subscription: id })).data[0]).toMatchObject({
    total: 49_000,
    status: 'paid',
  });
});

it('the anchor can be set to now', async () => {
  const { id } = await start(14);
  const changed = await stripe.subscriptions.update(id, {
    billing_cycle_anchor: { type: 'now' },
    expand: ['latest_invoice'],
  });
  expect(changed).toMatchObject({
    billing_cycle_anchor: START + 14 * DAY,
    latest_invoice: { total: 4900 - 2450, status: 'paid' },
  });
});

it('items come, change and go', async () => {
  const { id, item } = await start(14);
  const seats = await stripe.subscriptionItems.create({
    subscription: id,
    price: plans.business.id,
    quantity: 2,
    metadata: { kind: 'seats' },
    proration_behavior: 'always_invoice',
  });
  expect(seats).toMatchObject({ quantity: 2, metadata: { kind: 'seats' }, current_period_end: END });
  expect(
    await stripe.subscriptionItems.update(seats.id, { quantity: 3, proration_behavior: 'none' }),
  ).toMatchObject({
    quantity: 3,
  });
  expect((await stripe.subscriptionItems.list({ subscription: id })).data).toHaveLength(2);
  expect(await stripe.subscriptionItems.retrieve(seats.id)).toMatchObject({ quantity: 3 });
  await stripe.subscriptionItems.del(seats.id, { proration_behavior: 'always_invoice' });
  const totals = (await stripe.invoices.list({ subscription: id })).data.map(({ total }) => total);
  // What was paid is credited: two seats for half a period, whatever they were at the end.
  expect(totals).toEqual([-9900, 9900, 4900]);
  await expect(stripe.subscriptionItems.del(item)).rejects.toMatchObject({ statusCode: 400 });
  const twice = stripe.subscriptionItems.create({ subscription: id, price: plans.team.id });
  await expect(twice).rejects.toMatchObject({ statusCode: 400 });
  await expect(stripe.subscriptionItems.retrieve(seats.id)).rejects.toMatchObject({ statusCode: 404 });
});

it('a change whose payment is declined goes through, and leaves the subscription past due; or fails as a whole', async () => {
  const { id, item, customer } = await start(14);
  const later = 'pm_card_chargeCustomerFail';
  await stripe.customers.update(customer, { invoice_settings: { default_payment_method: later } });
  const change = (
    payment_behavior: Stripe.SubscriptionUpdateParams.PaymentBehavior,
  ): Promise<Stripe.Subscription> =>
    stripe.subscriptions.update(id, {
      items: [{ id: item, price: plans.business.id }],
      proration_behavior: 'always_invoice',
      payment_behavior,
    });
  await expect(change('error_if_incomplete')).rejects.toMatchObject({ statusCode: 402 });
  expect(itemOf(await stripe.subscriptions.retrieve(id)).price.id).toBe(plans.team.id);
  await expect(change('pending_if_incomplete')).rejects.toMatchObject({ statusCode: 501 });
  const changed = await change('allow_incomplete');
  expect(changed.status).toBe('past_due');
  expect(itemOf(changed).price.id).toBe(plans.business.id);
  expect(await stripe.invoices.retrieve(idIn(changed.latest_invoice))).toMatchObject({
    status: 'open',
    attempt_count: 1,
    next_payment_attempt: START + 14 * DAY + 3 * DAY,
  });
});

it('a cancellation at the end of the period can be taken back, and else happens then', async () => {
  const { id, clock } = await start(10);
  const now = START + 10 * DAY;
  expect(await stripe.subscriptions.update(id, { cancel_at_period_end: true })).toMatchObject({
    status: 'active',
    cancel_at: END,
    cancel_at_period_end: true,
    canceled_at: now,
    cancellation_details: { reason: 'cancellation_requested' },
  });
  await expect(stripe.invoices.createPreview({ subscription: id })).rejects.toMatchObject({
    statusCode: 404,
    code: 'invoice_upcoming_none',
  });
  expect(await stripe.subscriptions.update(id, { cancel_at_period_end: false })).toMatchObject({
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { reason: null },
  });
  await stripe.subscriptions.update(id, {
    cancel_at_period_end: true,
    cancellation_details: { comment: 'too big', feedback: 'unused' },
  });
  const events = watchEvents(test);
  await events();
  await advance(test, clock, END + 2 * HOUR);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({
    status: 'canceled',
    canceled_at: now,
    ended_at: END,
    cancellation_details: { comment: 'too big', feedback: 'unused', reason: 'cancellation_requested' },
  });
  expect(await events()).toEqual([
    'test_helpers.test_clock.advancing',
    'customer.subscription.deleted',
    'test_helpers.test_clock.ready',
  ]);
  expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(1);
});

it('a cancel_at is unset by itself, as in Stripe', async () => {
  const { id } = await start(10);
  await stripe.subscriptions.update(id, { cancel_at: 'max_period_end' });
  expect(await stripe.subscriptions.update(id, { cancel_at_period_end: false })).toMatchObject({
    cancel_at: END,
    cancel_at_period_end: false,
  });
  expect(await stripe.subscriptions.update(id, { cancel_at: '' })).toMatchObject({ cancel_at: null });
});

it('a subscription that is canceled now ends now, with a credit where that is asked for', async () => {
  const { id, customer } = await start(14);
  const preview = await stripe.invoices.createPreview({
    subscription: id,
    subscription_details: { cancel_now: true, proration_behavior: 'always_invoice' },
  });
  expect(preview.total).toBe(-2450);
  const canceled = await stripe.subscriptions.cancel(id, { prorate: true, invoice_now: true });
  expect(canceled).toMatchObject({ status: 'canceled', ended_at: START + 14 * DAY });
  expect(await stripe.invoices.finalizeInvoice(idIn(canceled.latest_invoice))).toMatchObject({
    status: 'paid',
    total: -2450,
  });
  expect(await stripe.customers.retrieve(customer)).toMatchObject({ balance: -2450 });
  await expect(stripe.subscriptions.cancel(id)).rejects.toMatchObject({
    statusCode: 404,
    code: 'resource_missing',
  });
  await expect(stripe.subscriptions.update(id, { cancel_at_period_end: true })).rejects.toMatchObject({
    code: 'invalid_canceled_subscription_fields',
  });
  expect(await stripe.subscriptions.update(id, { metadata: { why: 'gone' } })).toMatchObject({
    metadata: { why: 'gone' },
  });
});

it('discounts are taken off the invoices, and off the prorations', async () => {
  putCoupon('fifth', { percent_off: 20 });
  putCoupon('ten', { amount_off: 1000, currency: 'eur', duration: 'once' });
  const { id, item, clock } = await start(14, { discounts: [{ coupon: 'fifth' }, { coupon: 'ten' }] });
  const first = (await stripe.invoices.list({ subscription: id })).data[0];
  expect(first).toMatchObject({
    subtotal: 4900,
    total: 4900 - 980 - 1000,
    total_discount_amounts: [{ amount: 980 }, { amount: 1000 }],
    lines: { data: [{ discount_amounts: [{ amount: 980 }, { amount: 1000 }] }] },
  });
  // The one that lasts once has ended with the first invoice.
  expect((await stripe.subscriptions.retrieve(id)).discounts).toHaveLength(1);
  expect((await stripe.events.list({ type: 'customer.discount.deleted' })).data).toHaveLength(1);
  const items = [{ id: item, price: plans.business.id }];
  const details = { items, proration_behavior: 'always_invoice' } as const;
  const preview = await stripe.invoices.createPreview({ subscription: id, subscription_details: details });
  const changed = await stripe.subscriptions.update(id, { ...details, expand: ['latest_invoice'] });
  expect(compare(changed.latest_invoice as Stripe.Invoice)).toEqual(compare(preview));
  // What was paid with both discounts is credited; the rest is charged with the one that lasts.
  expect(preview.total).toBe(9900 * 0.8 * 0.5 - (4900 - 980 - 1000) / 2);
  await advance(test, clock, END + 2 * HOUR);
  expect((await stripe.invoices.list({ subscription: id })).data[0]).toMatchObject({ total: 9900 * 0.8 });
  await stripe.subscriptions.update(id, { discounts: '' });
  expect(await stripe.invoices.createPreview({ subscription: id })).toMatchObject({ total: 9900 });
});

it('a discount that lasts once waits for a whole period', async () => {
  putCoupon('half', { percent_off: 50, duration: 'once' });
  const { id, item, clock } = await start(14);
  await stripe.subscriptions.update(id, {
    discounts: [{ coupon: 'half' }],
    items: [{ id: item, price: plans.business.id }],
    proration_behavior: 'always_invoice',
  });
  expect((await stripe.invoices.list({ subscription: id })).data[0]).toMatchObject({ total: 4950 - 2450 });
  await advance(test, clock, END + 2 * HOUR);
  expect((await stripe.invoices.list({ subscription: id })).data[0]).toMatchObject({ total: 4950 });
  expect((await stripe.subscriptions.retrieve(id)).discounts).toEqual([]);
});

it('a renewal takes up what waits for its customer, and a change does not', async () => {
  const { id, item, customer, clock } = await start(14);
  await stripe.invoiceItems.create({ customer, amount: 700, currency: 'eur', description: 'Setup' });
  await stripe.subscriptions.update(id, {
    items: [{ id: item, price: plans.business.id }],
    proration_behavior: 'always_invoice',
  });
  await advance(test, clock, END + 2 * HOUR);
  const totals = (await stripe.invoices.list({ subscription: id })).data.map(({ total }) => total);
  expect(totals).toEqual([9900 + 700, 2500, 4900]);
});

it('a preview of a new subscription costs what its first invoice costs', async () => {
  const { customer } = await createClocked(test);
  const items = [{ price: plans.team.id, quantity: 7 }];
  const preview = await stripe.invoices.createPreview({
    customer: customer.id,
    subscription_details: { items },
  });
  const { latest_invoice } = await stripe.subscriptions.create({ customer: customer.id, items });
  expect(compare(await stripe.invoices.retrieve(idIn(latest_invoice)))).toEqual(compare(preview));
  const renewal = await stripe.invoices.createPreview({ customer: customer.id });
  expect(renewal).toMatchObject({ total: 34_300, created: END, next_payment_attempt: END + HOUR });
});

it('expand leads from a subscription to its price, its payment and its customer', async () => {
  const { id, customer } = await start(0);
  const expanded = await stripe.subscriptions.retrieve(id, {
    expand: [
      'items.data.price.product',
      'latest_invoice.payments.data.payment.payment_intent',
      'customer',
      'test_clock',
    ],
  });
  expect(expanded).toMatchObject({
    items: { data: [{ price: { product: { name: 'Team' } } }] },
    latest_invoice: { payments: { data: [{ payment: { payment_intent: { status: 'succeeded' } } }] } },
    customer: { id: customer },
    test_clock: { status: 'ready' },
  });
  const list = await stripe.invoices.list({
    customer,
    expand: ['data.payments', 'data.customer', 'data.discounts'],
  });
  expect(list.data[0]).toMatchObject({
    customer: { id: customer },
    payments: { data: [{ status: 'paid' }] },
  });
  await stripe.subscriptions.cancel(id);
  const { subscriptions } = (await stripe.customers.retrieve(customer, {
    expand: ['subscriptions'],
  })) as Stripe.Customer;
  expect(subscriptions?.data).toEqual([]);
});

it('only events of updates say what was there before', async () => {
  const { id, item } = await start(0);
  await stripe.subscriptionItems.update(item, { quantity: 2, proration_behavior: 'none' });
  await stripe.subscriptions.cancel(id);
  const previous = new Map<string, unknown>();
  for (const { type, data } of (await stripe.events.list({ limit: 100 })).data)
    previous.set(type, data.previous_attributes);
  expect(previous.get('customer.subscription.updated')).toMatchObject({ status: 'incomplete' });
  for (const type of [
    'customer.subscription.deleted',
    'invoice.finalized',
    'invoice.paid',
    'payment_intent.succeeded',
  ])
    expect([type, previous.get(type)]).toEqual([type, undefined]);
});

it('what is not done says so', async () => {
  const { id, item } = await start(0);
  const later: Promise<unknown>[] = [
    stripe.subscriptions.update(id, { pause_collection: { behavior: 'void' } }),
    stripe.subscriptions.pause(id),
    stripe.subscriptions.update(id, { items: [{ id: item, tax_rates: ['txr_1'] }] }),
    stripe.subscriptions.update(id, { trial_end: START + DAY }),
    stripe.subscriptions.search({ query: "status:'active'" }),
    stripe.invoices.createPreview({ subscription: id, preview_mode: 'recurring' }),
    stripe.subscriptions.update(id, { collection_method: 'send_invoice', days_until_due: 3 }),
    stripe.subscriptions.migrate(id, { billing_mode: { type: 'flexible' } }),
  ];
  for (const request of later)
    await expect(request).rejects.toMatchObject({ statusCode: 501, code: 'not_in_stand_in' });
});

function putCoupon(id: string, more: Partial<Stripe.Coupon>): void {
  test.server.standIn.perform(null, ({ store }) => {
    store.put({
      id,
      object: 'coupon',
      amount_off: null,
      created: START,
      currency: null,
      duration: 'forever',
      duration_in_months: null,
      livemode: false,
      max_redemptions: null,
      metadata: {},
      name: id,
      percent_off: null,
      redeem_by: null,
      times_redeemed: 0,
      valid: true,
      ...more,
    });
  });
}
