import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  START,
  advance,
  at,
  cardForm,
  createClocked,
  createPlans,
  idIn,
  postForm,
  watchEvents,
} from '../test-billing.ts';
import type { Plans } from '../test-billing.ts';
import { startTestStripe } from '../test-stripe.ts';
import type { TestStripe } from '../test-stripe.ts';

let test: TestStripe;
let stripe: Stripe;
let plans: Plans;

const END = at('2026-02-28T10:00:00Z');

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(async () => {
  await test.ask('POST', '/_stand-in/reset');
  plans = await createPlans(test);
});

interface Failing {
  readonly id: string;
  readonly customer: string;
  readonly clock: Stripe.TestHelpers.TestClock;
  readonly invoice: string;
}

/** A subscription whose first renewal was declined. */
async function failRenewal(): Promise<Failing> {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  await stripe.customers.update(customer.id, {
    invoice_settings: { default_payment_method: 'pm_card_chargeCustomerFail' },
  });
  await advance(test, clock, END + 2 * HOUR);
  const { latest_invoice } = await stripe.subscriptions.retrieve(id);
  return { id, customer: customer.id, clock, invoice: idIn(latest_invoice) };
}

const setRule = (settings: object): Promise<Response> =>
  test.ask('POST', '/_stand-in/billing-settings', settings);

it('a renewal that is declined leaves the subscription past due, and says when it is tried again', async () => {
  const events = watchEvents(test);
  const { id, customer, invoice } = await failRenewal();
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'past_due' });
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({
    status: 'open',
    attempted: true,
    attempt_count: 1,
    next_payment_attempt: END + HOUR + 3 * DAY,
    amount_remaining: 4900,
  });
  expect(await stripe.customers.retrieve(customer)).toMatchObject({ delinquent: true });
  const [payment] = (await stripe.invoicePayments.list({ invoice })).data;
  const intent = await stripe.paymentIntents.retrieve(idIn(payment?.payment.payment_intent ?? null), {
    expand: ['latest_charge'],
  });
  expect(intent).toMatchObject({
    status: 'requires_payment_method',
    last_payment_error: { type: 'card_error', code: 'card_declined', decline_code: 'generic_decline' },
    latest_charge: { status: 'failed', failure_code: 'card_declined', paid: false },
  });
  expect((await events()).slice(-8)).toEqual([
    'invoice.finalized',
    'charge.failed',
    'payment_intent.payment_failed',
    'invoice.updated',
    'invoice.payment_failed',
    'customer.updated',
    'customer.subscription.updated',
    'test_helpers.test_clock.ready',
  ]);
});

it('retries come after 3, 5 and 7 days; then the subscription is canceled', async () => {
  const { id, clock, invoice } = await failRenewal();
  const read = async (): Promise<[number, number | null, string]> => {
    const { attempt_count, next_payment_attempt } = await stripe.invoices.retrieve(invoice);
    return [attempt_count, next_payment_attempt, (await stripe.subscriptions.retrieve(id)).status];
  };
  const first = END + HOUR;
  await advance(test, clock, first + 3 * DAY);
  expect(await read()).toEqual([2, first + 8 * DAY, 'past_due']);
  await advance(test, clock, first + 8 * DAY);
  expect(await read()).toEqual([3, first + 15 * DAY, 'past_due']);
  await advance(test, clock, first + 15 * DAY);
  expect(await read()).toEqual([4, null, 'canceled']);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({
    ended_at: first + 15 * DAY,
    cancellation_details: { reason: 'payment_failed' },
  });
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({ status: 'open', auto_advance: false });
  const deleted = await stripe.events.list({ type: 'customer.subscription.deleted' });
  expect(deleted.data.map(({ data }) => data.object)).toMatchObject([{ id, status: 'canceled' }]);
});

it('after the last retry a subscription may be unpaid instead: its invoices are drafts until it is paid', async () => {
  expect((await setRule({ after_last_retry: 'unpaid', retry_days: [1] })).status).toBe(200);
  const { id, customer, clock, invoice } = await failRenewal();
  await advance(test, clock, END + HOUR + DAY);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({
    status: 'unpaid',
    latest_invoice: invoice,
  });
  await advance(test, clock, at('2026-04-02T00:00:00Z'));
  const [next] = (await stripe.invoices.list({ subscription: id })).data;
  expect(next).toMatchObject({ status: 'draft', auto_advance: false, next_payment_attempt: null });
  await stripe.customers.update(customer, { invoice_settings: { default_payment_method: 'pm_card_visa' } });
  await stripe.invoices.pay(next?.id ?? '');
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'active' });
});

it('or it stays past due, and settings survive a restart', async () => {
  await setRule({ after_last_retry: 'past_due', retry_days: [] });
  await test.restart();
  ({ stripe } = test);
  const { id, clock, invoice } = await failRenewal();
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({
    attempt_count: 1,
    next_payment_attempt: null,
  });
  await advance(test, clock, END + 20 * DAY);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'past_due' });
  expect((await setRule({ after_last_retry: 'wait' })).status).toBe(400);
});

it('a retry with a new card recovers the subscription', async () => {
  const { id, customer, clock, invoice } = await failRenewal();
  await stripe.customers.update(customer, { invoice_settings: { default_payment_method: 'pm_card_visa' } });
  const events = watchEvents(test);
  await events();
  await advance(test, clock, END + 4 * DAY);
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({
    status: 'paid',
    attempt_count: 1,
    status_transitions: { paid_at: END + HOUR + 3 * DAY },
  });
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'active' });
  expect(await stripe.customers.retrieve(customer)).toMatchObject({ delinquent: false });
  expect(await events()).toEqual([
    'test_helpers.test_clock.advancing',
    'charge.succeeded',
    'payment_intent.succeeded',
    'invoice.updated',
    'invoice.paid',
    'invoice.payment_succeeded',
    'invoice_payment.paid',
    'customer.updated',
    'customer.subscription.updated',
    'test_helpers.test_clock.ready',
  ]);
});

it('a person can pay the invoice on its page, with a card that pays and not with one that is declined', async () => {
  const { id, invoice } = await failRenewal();
  const { hosted_invoice_url } = await stripe.invoices.retrieve(invoice);
  const url = hosted_invoice_url ?? '';
  expect(await (await fetch(url)).text()).toContain('€49.00');
  expect((await fetch(url.slice(0, -1))).status).toBe(404);
  const declined = await postForm(url, { action: 'pay', ...cardForm('declined') });
  expect([declined.status, await declined.text()]).toEqual([
    402,
    expect.stringContaining('Your card was declined.'),
  ]);
  expect((await postForm(url, { action: 'pay-saved' })).status).toBe(402);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'past_due' });
  const paid = await postForm(url, { action: 'pay', ...cardForm('pays') });
  expect(await paid.text()).toContain('Status: paid.');
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'active' });
  // Attempts that somebody asks for do not count as retries.
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({ status: 'paid', attempt_count: 1 });
});

it('a first payment that is declined leaves the subscription incomplete, and after 23 hours it is over', async () => {
  const { customer, clock } = await createClocked(test, { card: 'pm_card_chargeCustomerFail' });
  const made = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
    expand: ['latest_invoice'],
  });
  expect(made).toMatchObject({
    status: 'incomplete',
    latest_invoice: { status: 'open', attempt_count: 1, next_payment_attempt: null },
  });
  await advance(test, clock, START + 22 * HOUR);
  expect((await stripe.subscriptions.retrieve(made.id)).status).toBe('incomplete');
  await advance(test, clock, START + 24 * HOUR);
  const expired = await stripe.subscriptions.retrieve(made.id, { expand: ['latest_invoice.payments'] });
  expect(expired).toMatchObject({
    status: 'incomplete_expired',
    ended_at: START + 23 * HOUR,
    latest_invoice: { status: 'void', payments: { data: [{ status: 'canceled' }] } },
  });
  expect((await stripe.subscriptions.list({ customer: customer.id })).data).toEqual([]);
  expect((await stripe.subscriptions.list({ customer: customer.id, status: 'ended' })).data).toHaveLength(1);
});

it('a first payment that a client makes activates the subscription', async () => {
  const { customer } = await createClocked(test, { card: null });
  const create = (
    payment_behavior: Stripe.SubscriptionCreateParams.PaymentBehavior,
  ): Promise<Stripe.Subscription> =>
    stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plans.team.id }],
      payment_behavior,
      payment_settings: { save_default_payment_method: 'on_subscription' },
    });
  await expect(create('allow_incomplete')).rejects.toMatchObject({
    statusCode: 400,
    code: 'resource_missing',
    message: expect.stringContaining('no attached payment source or default payment method'),
  });
  await expect(create('pending_if_incomplete')).rejects.toMatchObject({ statusCode: 501 });
  const { id, latest_invoice, status } = await create('default_incomplete');
  expect(status).toBe('incomplete');
  const invoice = await stripe.invoices.retrieve(idIn(latest_invoice), {
    expand: ['payments', 'confirmation_secret'],
  });
  const intent = idIn(invoice.payments?.data[0]?.payment.payment_intent ?? null);
  expect(invoice.confirmation_secret?.client_secret).toContain(intent);
  const confirm = (card: string): Promise<Stripe.PaymentIntent> =>
    stripe.paymentIntents.confirm(intent, { payment_method: card });
  await expect(confirm('pm_card_chargeDeclinedInsufficientFunds')).rejects.toMatchObject({
    statusCode: 402,
    code: 'card_declined',
    decline_code: 'insufficient_funds',
    payment_intent: { id: intent, status: 'requires_payment_method' },
  });
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: 'open', attempt_count: 1 });
  expect(await confirm('pm_card_visa')).toMatchObject({ status: 'succeeded' });
  const active = await stripe.subscriptions.retrieve(id, { expand: ['default_payment_method'] });
  expect(active).toMatchObject({
    status: 'active',
    default_payment_method: { customer: customer.id, card: { last4: '4242' } },
  });
});

it('a request that is to fail with its payment leaves nothing behind', async () => {
  const { customer } = await createClocked(test, { card: 'pm_card_chargeCustomerFail' });
  const create = stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
    payment_behavior: 'error_if_incomplete',
  });
  await expect(create).rejects.toMatchObject({ statusCode: 402, code: 'card_declined' });
  expect((await stripe.subscriptions.list({ customer: customer.id, status: 'all' })).data).toEqual([]);
  expect((await stripe.charges.list({ customer: customer.id })).data).toEqual([]);
});

it('an invoice that is void or uncollectible no longer holds the subscription back', async () => {
  const { id, invoice } = await failRenewal();
  await stripe.invoices.markUncollectible(invoice);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'active' });
  expect(await stripe.invoices.voidInvoice(invoice)).toMatchObject({ status: 'void', amount_remaining: 0 });
  await expect(stripe.invoices.pay(invoice)).rejects.toMatchObject({ statusCode: 400 });
});

it('invoices of a subscription that is paid weekly do not keep a failed one from being given up', async () => {
  const product = await stripe.products.create({ name: 'Weekly' });
  const weekly = await stripe.prices.create({
    product: product.id,
    currency: 'eur',
    unit_amount: 1000,
    recurring: { interval: 'week' },
  });
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: weekly.id }] });
  await stripe.customers.update(customer.id, {
    invoice_settings: { default_payment_method: 'pm_card_chargeCustomerFail' },
  });
  for (let week = 1; week <= 4; week += 1) await advance(test, clock, START + week * 7 * DAY);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled' });
});
