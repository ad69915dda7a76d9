import { readFileSync } from 'node:fs';
import path from 'node:path';
import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { idIn, watchEvents } from '../test-billing.ts';
import { startTestStripe } from '../test-stripe.ts';
import type { TestStripe } from '../test-stripe.ts';

let test: TestStripe;
let stripe: Stripe;

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(() => test.ask('POST', '/_stand-in/reset'));

/** A charge of 50.00 that has succeeded. */
async function charge(card = 'pm_card_visa'): Promise<{ intent: Stripe.PaymentIntent; charge: string }> {
  const customer = await stripe.customers.create();
  const intent = await stripe.paymentIntents.create({
    amount: 5000,
    currency: 'eur',
    customer: customer.id,
    payment_method: card,
    confirm: true,
    metadata: { order: '1' },
  });
  return { intent, charge: idIn(intent.latest_charge) };
}

it('a card is attached, listed, made the default, and detached from all that it would pay', async () => {
  const { id } = await stripe.customers.create();
  const method = await stripe.paymentMethods.attach('pm_card_mastercard', { customer: id });
  expect(method).toMatchObject({
    id: expect.stringMatching(/^pm_\w{24}$/),
    type: 'card',
    customer: id,
    card: { brand: 'mastercard', last4: '4444', exp_month: 12, funding: 'credit' },
  });
  const again = await stripe.paymentMethods.attach('pm_card_mastercard', { customer: id });
  expect(again.id).not.toBe(method.id);
  expect(again.card?.fingerprint).toBe(method.card?.fingerprint);
  expect((await stripe.paymentMethods.list({ customer: id, type: 'card' })).data).toHaveLength(2);
  expect((await stripe.customers.listPaymentMethods(id)).data).toHaveLength(2);
  expect(await stripe.customers.retrievePaymentMethod(id, method.id)).toEqual(method);
  const invoice_settings = { default_payment_method: method.id };
  const customer = await stripe.customers.update(id, {
    invoice_settings,
    expand: ['invoice_settings.default_payment_method'],
  });
  expect(customer.invoice_settings.default_payment_method).toMatchObject({ id: method.id });
  const changed = await stripe.paymentMethods.update(method.id, {
    billing_details: { name: 'Hank' },
    card: { exp_month: 5, exp_year: 2040 },
    metadata: { a: 'b' },
  });
  expect(changed).toMatchObject({
    billing_details: { name: 'Hank' },
    card: { exp_month: 5, exp_year: 2040 },
  });
  expect(await stripe.paymentMethods.detach(method.id)).toMatchObject({ customer: null });
  expect(await stripe.customers.retrieve(id)).toMatchObject({
    invoice_settings: { default_payment_method: null },
  });
  await expect(stripe.paymentMethods.detach(method.id)).rejects.toMatchObject({ statusCode: 400 });
  const types = (await stripe.events.list({ type: 'payment_method.*' })).data.map(({ type }) => type);
  expect(types).toEqual([
    'payment_method.detached',
    'payment_method.updated',
    'payment_method.attached',
    'payment_method.attached',
  ]);
});

it('a card of another customer cannot be used', async () => {
  const [one, other] = [await stripe.customers.create(), await stripe.customers.create()];
  const { id } = await stripe.paymentMethods.attach('pm_card_visa', { customer: one.id });
  await expect(stripe.paymentMethods.attach(id, { customer: other.id })).rejects.toMatchObject({
    statusCode: 400,
  });
  const change = stripe.customers.update(other.id, { invoice_settings: { default_payment_method: id } });
  await expect(change).rejects.toMatchObject({ statusCode: 400 });
  await expect(stripe.customers.retrievePaymentMethod(other.id, id)).rejects.toMatchObject({
    statusCode: 404,
  });
});

it('a card that is declined cannot be attached, but the one that only fails later can', async () => {
  const { id } = await stripe.customers.create();
  const attach = (token: string): Promise<Stripe.PaymentMethod> =>
    stripe.paymentMethods.attach(token, { customer: id });
  await expect(attach('pm_card_chargeDeclined')).rejects.toMatchObject({
    statusCode: 402,
    type: 'StripeCardError',
    code: 'card_declined',
    decline_code: 'generic_decline',
  });
  await expect(attach('pm_card_chargeDeclinedExpiredCard')).rejects.toMatchObject({ code: 'expired_card' });
  await expect(attach('pm_card_none')).rejects.toMatchObject({ code: 'resource_missing' });
  expect(await attach('pm_card_chargeCustomerFail')).toMatchObject({ card: { last4: '0341' } });
  expect((await stripe.paymentMethods.list({ customer: id })).data).toHaveLength(1);
});

it('a card comes by its token, and never by its number', async () => {
  const method = await stripe.paymentMethods.create({ type: 'card', card: { token: 'tok_visa' } });
  expect(method).toMatchObject({ customer: null, card: { last4: '4242' } });
  const number = '4242424242424242';
  const raw = stripe.paymentMethods.create({
    type: 'card',
    card: { number, exp_month: 1, exp_year: 2040, cvc: '123' },
  });
  await expect(raw).rejects.toMatchObject({ message: expect.stringContaining('generally unsafe') });
  expect(readFileSync(path.join(test.folder, 'stripe.jsonl'), 'utf8')).not.toContain(number);
});

it('the card network brings a new expiry date, or another card', async () => {
  const { id } = await stripe.customers.create();
  const method = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: id });
  const answer = await test.ask('POST', `/_stand-in/payment-methods/${method.id}/auto-update`, {
    card: 'pm_card_visa',
    exp_year: 2041,
  });
  expect(answer.status).toBe(200);
  expect(await stripe.paymentMethods.retrieve(method.id)).toMatchObject({
    card: { last4: '4242', exp_year: 2041 },
  });
  const [event] = (await stripe.events.list({ type: 'payment_method.automatically_updated' })).data;
  expect(event?.data.previous_attributes).toMatchObject({ card: { last4: '0341' } });
});

it('a payment succeeds', async () => {
  const events = watchEvents(test);
  const { intent, charge: chargeId } = await charge();
  expect(intent).toMatchObject({ status: 'succeeded', amount_received: 5000, metadata: { order: '1' } });
  expect(await stripe.charges.retrieve(chargeId)).toMatchObject({
    status: 'succeeded',
    paid: true,
    captured: true,
    amount_captured: 5000,
    payment_intent: intent.id,
    outcome: { type: 'authorized' },
    payment_method_details: { type: 'card', card: { brand: 'visa', last4: '4242' } },
  });
  expect(await events()).toEqual([
    'customer.created',
    'payment_intent.created',
    'charge.succeeded',
    'payment_intent.succeeded',
  ]);
  await expect(stripe.paymentIntents.confirm(intent.id)).rejects.toMatchObject({
    code: 'payment_intent_unexpected_state',
  });
  await expect(stripe.paymentIntents.cancel(intent.id)).rejects.toMatchObject({ statusCode: 400 });
});

it('a payment that is declined is 402, and leaves its intent and its failed charge', async () => {
  const { id: customer } = await stripe.customers.create();
  const { id } = await stripe.paymentIntents.create({ amount: 5000, currency: 'eur', customer });
  const confirm = stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_chargeDeclinedLostCard' });
  await expect(confirm).rejects.toMatchObject({
    statusCode: 402,
    decline_code: 'lost_card',
    payment_intent: { id, status: 'requires_payment_method', payment_method: null },
  });
  const [failed] = (await stripe.charges.list({ payment_intent: id })).data;
  expect(failed).toMatchObject({
    status: 'failed',
    outcome: { type: 'issuer_declined', reason: 'lost_card', network_status: 'declined_by_network' },
  });
  expect(await stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_visa' })).toMatchObject({
    status: 'succeeded',
    last_payment_error: null,
  });
  const open = await stripe.paymentIntents.create({ amount: 5000, currency: 'eur' });
  expect(await stripe.paymentIntents.cancel(open.id)).toMatchObject({ status: 'canceled' });
});

it('a charge is refunded in parts, and not more than it was', async () => {
  const { intent, charge: id } = await charge();
  const part = await stripe.refunds.create({
    payment_intent: intent.id,
    amount: 2000,
    reason: 'requested_by_customer',
    metadata: { ticket: '7' },
  });
  expect(part).toMatchObject({
    amount: 2000,
    charge: id,
    status: 'succeeded',
    reason: 'requested_by_customer',
  });
  expect(await stripe.charges.retrieve(id, { expand: ['refunds'] })).toMatchObject({
    amount_refunded: 2000,
    refunded: false,
    refunds: { data: [{ id: part.id }] },
  });
  await expect(stripe.refunds.create({ charge: id, amount: 3001 })).rejects.toMatchObject({
    param: 'amount',
  });
  expect(await stripe.refunds.create({ charge: id })).toMatchObject({ amount: 3000 });
  expect(await stripe.charges.retrieve(id)).toMatchObject({ amount_refunded: 5000, refunded: true });
  await expect(stripe.refunds.create({ charge: id })).rejects.toMatchObject({
    code: 'charge_already_refunded',
  });
  expect(await stripe.refunds.update(part.id, { metadata: { ticket: '8' } })).toMatchObject({
    metadata: { ticket: '8' },
  });
  expect((await stripe.refunds.list({ charge: id })).data).toHaveLength(2);
  const [event] = (await stripe.events.list({ type: 'charge.refunded' })).data;
  expect(event?.data.previous_attributes).toEqual({ amount_refunded: 2000, refunded: false });
});

it('the holder of a card disputes a charge, and the bank decides', async () => {
  const { intent, charge: id } = await charge();
  const events = watchEvents(test);
  await events();
  await test.ask('POST', '/_stand-in/disputes', { charge: id, reason: 'fraudulent' });
  const [dispute] = (await stripe.disputes.list({ payment_intent: intent.id })).data;
  expect(dispute).toMatchObject({
    amount: 5000,
    charge: id,
    reason: 'fraudulent',
    status: 'needs_response',
  });
  expect(await stripe.charges.retrieve(id)).toMatchObject({ disputed: true });
  await expect(stripe.refunds.create({ charge: id })).rejects.toMatchObject({ code: 'charge_disputed' });
  expect((await test.ask('POST', '/_stand-in/disputes', { charge: id })).status).toBe(400);
  await test.ask('POST', `/_stand-in/disputes/${dispute?.id}/close`, { status: 'won' });
  expect(await stripe.disputes.retrieve(dispute?.id ?? '')).toMatchObject({ status: 'won' });
  expect(await events()).toEqual([
    'charge.dispute.created',
    'charge.dispute.funds_withdrawn',
    'charge.dispute.closed',
    'charge.dispute.funds_reinstated',
  ]);
  await expect(stripe.disputes.close(dispute?.id ?? '')).rejects.toMatchObject({ statusCode: 400 });
});

it('a card that is made for it is disputed at once, and the business may give in', async () => {
  const { charge: id } = await charge('pm_card_createDispute');
  const [dispute] = (await stripe.disputes.list({ charge: id })).data;
  expect(await stripe.disputes.close(dispute?.id ?? '')).toMatchObject({ status: 'lost' });
});

it('a setup intent keeps a card for later', async () => {
  const { id: customer } = await stripe.customers.create();
  const intent = await stripe.setupIntents.create({ customer });
  expect(intent).toMatchObject({ status: 'requires_payment_method', usage: 'off_session' });
  const confirm = (payment_method: string): Promise<Stripe.SetupIntent> =>
    stripe.setupIntents.confirm(intent.id, { payment_method });
  await expect(confirm('pm_card_chargeDeclined')).rejects.toMatchObject({ statusCode: 402 });
  expect(await stripe.setupIntents.retrieve(intent.id)).toMatchObject({
    last_setup_error: { decline_code: 'generic_decline' },
  });
  expect(await confirm('pm_card_visa')).toMatchObject({ status: 'succeeded' });
  expect((await stripe.paymentMethods.list({ customer })).data).toHaveLength(1);
  await expect(stripe.setupIntents.cancel(intent.id)).rejects.toMatchObject({ statusCode: 400 });
});

it('a customer who is deleted takes subscriptions and cards along', async () => {
  const customer = await stripe.customers.create({
    payment_method: 'pm_card_visa',
    invoice_settings: { default_payment_method: 'pm_card_visa' },
  });
  const product = await stripe.products.create({ name: 'Team' });
  const price = await stripe.prices.create({
    product: product.id,
    currency: 'eur',
    unit_amount: 4900,
    recurring: { interval: 'month' },
  });
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await stripe.customers.del(customer.id);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled' });
  const method = idIn(customer.invoice_settings.default_payment_method);
  expect(await stripe.paymentMethods.retrieve(method)).toMatchObject({ customer: null });
  expect((await stripe.invoices.list({ customer: customer.id })).data).toHaveLength(1);
});
