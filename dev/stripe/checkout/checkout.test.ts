import { readFileSync } from 'node:fs';
import path from 'node:path';
import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  START,
  advance,
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

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(async () => {
  await test.ask('POST', '/_stand-in/reset');
  plans = await createPlans(test);
});

const create = (more: Partial<Stripe.Checkout.SessionCreateParams> = {}): Promise<Stripe.Checkout.Session> =>
  stripe.checkout.sessions.create({
    mode: 'subscription',
    line_items: [{ price: plans.team.id, quantity: 1 }],
    success_url: 'http://localhost:7071/done?session={CHECKOUT_SESSION_ID}',
    cancel_url: 'http://localhost:7071/plans',
    ...more,
  });

const pay = (
  url: string | null,
  card: Parameters<typeof cardForm>[0],
  more: object = {},
): Promise<Response> => postForm(url ?? '', { action: 'pay', ...cardForm(card), ...more });

it('a person pays on the page and comes back with a subscription', async () => {
  const customer = await stripe.customers.create({
    email: 'a@globex.example',
    metadata: { tenant_id: 'globex' },
  });
  const session = await create({
    customer: customer.id,
    client_reference_id: 'globex',
    metadata: { tenant_id: 'globex' },
    subscription_data: { metadata: { tenant_id: 'globex', plan_id: 'team' } },
  });
  expect(session).toMatchObject({
    id: expect.stringMatching(/^cs_test_\w{58}$/),
    status: 'open',
    payment_status: 'unpaid',
    amount_total: 4900,
    currency: 'eur',
    subscription: null,
    expires_at: session.created + DAY,
    url: expect.stringContaining('/_stand-in/pages/checkout/'),
  });
  const page = await fetch(session.url ?? '');
  expect(page.headers.get('content-type')).toContain('text/html');
  const text = await page.text();
  for (const part of [
    'Team',
    '€49.00',
    '<label for="card_number">Card number</label>',
    '>Subscribe</button>',
  ])
    expect(text).toContain(part);
  expect(text).not.toContain('<script');
  expect(text).not.toContain('name="email"');
  const events = watchEvents(test);
  await events();
  const answer = await pay(session.url, 'pays');
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe(`http://localhost:7071/done?session=${session.id}`);
  expect(await events()).toEqual([
    'payment_method.attached',
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
    'checkout.session.completed',
  ]);
  const done = await stripe.checkout.sessions.retrieve(session.id, {
    expand: ['subscription.default_payment_method', 'invoice', 'line_items', 'customer'],
  });
  expect(done).toMatchObject({
    status: 'complete',
    payment_status: 'paid',
    url: null,
    client_reference_id: 'globex',
    metadata: { tenant_id: 'globex' },
    customer: { id: customer.id },
    customer_details: { email: 'a@globex.example' },
    invoice: { status: 'paid', total: 4900 },
    subscription: {
      status: 'active',
      metadata: { tenant_id: 'globex', plan_id: 'team' },
      default_payment_method: {
        customer: customer.id,
        card: { last4: '4242' },
        billing_details: { name: 'Hank Scorpio' },
      },
    },
    line_items: { data: [{ amount_total: 4900, quantity: 1, price: { id: plans.team.id } }] },
  });
  // Once more, as an impatient person does: nothing is paid again.
  expect((await pay(session.url, 'pays')).status).toBe(303);
  expect((await stripe.charges.list({ customer: customer.id })).data).toHaveLength(1);
  expect(await (await fetch(session.url ?? '')).text()).toContain('This is done');
  await expect(stripe.checkout.sessions.expire(session.id)).rejects.toMatchObject({ statusCode: 400 });
  expect(
    (await stripe.checkout.sessions.list({ customer: customer.id, status: 'complete' })).data,
  ).toHaveLength(1);
  expect((await stripe.checkout.sessions.listLineItems(session.id)).data).toHaveLength(1);
});

it('a card that is declined is told, and another may be tried', async () => {
  const { customer } = await createClocked(test, { card: null });
  const session = await create({ customer: customer.id });
  const declined = await pay(session.url, 'declined');
  expect(declined.status).toBe(402);
  const text = await declined.text();
  expect(text).toContain('Your card was declined.');
  expect(text).not.toContain('0002');
  expect(await stripe.checkout.sessions.retrieve(session.id)).toMatchObject({ status: 'open' });
  expect((await stripe.subscriptions.list({ customer: customer.id, status: 'all' })).data).toEqual([]);
  expect((await stripe.charges.list({ customer: customer.id })).data).toMatchObject([{ status: 'failed' }]);
  // This card can be attached; it is its charge that fails.
  expect((await pay(session.url, 'later')).status).toBe(402);
  expect((await stripe.paymentMethods.list({ customer: customer.id })).data).toEqual([]);
  expect((await pay(session.url, 'pays')).status).toBe(303);
  expect((await stripe.subscriptions.list({ customer: customer.id })).data).toMatchObject([
    { status: 'active' },
  ]);
});

it('what is typed wrongly is told, and no number is kept or shown', async () => {
  const session = await create();
  const fault = async (fields: object): Promise<string> => {
    const answer = await postForm(session.url ?? '', {
      action: 'pay',
      email: 'a@b.example',
      ...cardForm('pays'),
      ...fields,
    });
    expect(answer.status).toBe(402);
    return /role="alert">([^<]*)/.exec(await answer.text())?.[1] ?? '';
  };
  expect(await fault({ card_number: '4111 1111 1111 1112' })).toContain('card number is incorrect');
  expect(await fault({ card_expiry: '01/20' })).toContain('expiration date');
  expect(await fault({ card_expiry: 'soon' })).toContain('expiration date');
  expect(await fault({ card_cvc: '' })).toContain('security code');
  expect(await fault({ email: '"><script>' })).toContain('email is incomplete');
  for (const card of ['later', 'declined', 'pays'] as const)
    await pay(session.url, card, { email: 'a@b.example' });
  const file = readFileSync(path.join(test.folder, 'stripe.jsonl'), 'utf8');
  for (const number of [
    '4242424242424242',
    '4242 4242 4242 4242',
    '4000000000000341',
    '0000 0000 0341',
    '"123"',
  ])
    expect(file).not.toContain(number);
});

it('who has no customer yet becomes one', async () => {
  const session = await create();
  expect(session.customer).toBeNull();
  await pay(session.url, 'pays', { email: 'new@globex.example' });
  const done = await stripe.checkout.sessions.retrieve(session.id, { expand: ['customer'] });
  expect(done).toMatchObject({
    status: 'complete',
    customer: { email: 'new@globex.example', name: 'Hank Scorpio' },
    customer_details: { email: 'new@globex.example' },
  });
  const known = await create({ customer_email: 'known@globex.example' });
  await pay(known.url, 'pays');
  const { data } = await stripe.customers.list({ email: 'known@globex.example' });
  expect(data).toHaveLength(1);
});

it('a trial starts without a charge; a card that fails later makes its first renewal fail', async () => {
  const { customer, clock } = await createClocked(test, { card: null });
  const session = await create({ customer: customer.id, subscription_data: { trial_period_days: 14 } });
  expect(session).toMatchObject({ amount_total: 0, payment_status: 'unpaid' });
  expect(await (await fetch(session.url ?? '')).text()).toContain('>Start trial</button>');
  expect((await pay(session.url, 'later')).status).toBe(303);
  const done = await stripe.checkout.sessions.retrieve(session.id);
  expect(done).toMatchObject({ status: 'complete', payment_status: 'no_payment_required' });
  const subscription = idIn(done.subscription);
  expect(await stripe.subscriptions.retrieve(subscription)).toMatchObject({ status: 'trialing' });
  await advance(test, clock, START + 14 * DAY + 2 * HOUR);
  expect(await stripe.subscriptions.retrieve(subscription)).toMatchObject({ status: 'past_due' });
});

it('a free order may be completed without a card, where the session says so', async () => {
  const { customer } = await createClocked(test, { card: null });
  const session = await create({
    customer: customer.id,
    payment_method_collection: 'if_required',
    subscription_data: {
      trial_period_days: 7,
      trial_settings: { end_behavior: { missing_payment_method: 'pause' } },
    },
  });
  expect(await (await fetch(session.url ?? '')).text()).not.toContain('Card number');
  expect((await postForm(session.url ?? '', { action: 'pay' })).status).toBe(303);
  expect((await stripe.subscriptions.list({ customer: customer.id })).data).toMatchObject([
    { status: 'trialing', default_payment_method: null },
  ]);
});

it('a session expires, by itself after its time or when it is asked to', async () => {
  const { customer, clock } = await createClocked(test, { card: null });
  const session = await create({ customer: customer.id, expires_at: START + HOUR });
  await advance(test, clock, START + HOUR);
  expect(await stripe.checkout.sessions.retrieve(session.id)).toMatchObject({ status: 'expired', url: null });
  expect((await fetch(session.url ?? '')).status).toBe(410);
  expect((await pay(session.url, 'pays')).status).toBe(410);
  const other = await create();
  expect(await stripe.checkout.sessions.expire(other.id)).toMatchObject({ status: 'expired' });
  expect((await stripe.events.list({ type: 'checkout.session.expired' })).data).toHaveLength(2);
});

it('a page is found by its secret alone', async () => {
  const session = await create();
  const url = session.url ?? '';
  expect((await fetch(url.slice(0, -3))).status).toBe(404);
  expect((await fetch(`${url.slice(0, url.lastIndexOf('/'))}/${'x'.repeat(40)}`)).status).toBe(404);
});

it('a promotion code can be typed', async () => {
  test.server.standIn.perform(null, ({ store }) => {
    store.put({
      id: 'half',
      object: 'coupon',
      amount_off: null,
      created: START,
      currency: null,
      duration: 'once',
      duration_in_months: null,
      livemode: false,
      max_redemptions: null,
      metadata: {},
      name: 'Half',
      percent_off: 50,
      redeem_by: null,
      times_redeemed: 0,
      valid: true,
    });
    store.put({
      id: 'promo_half',
      object: 'promotion_code',
      active: true,
      code: 'HALF',
      created: START,
      customer: null,
      customer_account: null,
      expires_at: null,
      livemode: false,
      max_redemptions: null,
      metadata: {},
      promotion: { coupon: 'half', type: 'coupon' },
      restrictions: { first_time_transaction: false, minimum_amount: null, minimum_amount_currency: null },
      times_redeemed: 0,
    });
  });
  const { customer } = await createClocked(test, { card: null });
  const session = await create({ customer: customer.id, allow_promotion_codes: true });
  const apply = (promotion_code: string): Promise<Response> =>
    postForm(session.url ?? '', { action: 'apply-code', promotion_code });
  expect(await (await apply('nothing')).text()).toContain('This code is invalid.');
  expect(await (await apply(' half ')).text()).toContain('€24.50');
  expect(await stripe.checkout.sessions.retrieve(session.id)).toMatchObject({
    amount_subtotal: 4900,
    amount_total: 2450,
    total_details: { amount_discount: 2450 },
    discounts: [{ promotion_code: 'promo_half' }],
  });
  await pay(session.url, 'pays');
  const [invoice] = (await stripe.invoices.list({ customer: customer.id })).data;
  expect(invoice).toMatchObject({ status: 'paid', total: 2450 });
  const given = await create({ customer: customer.id, discounts: [{ coupon: 'half' }] });
  expect(given).toMatchObject({ amount_total: 2450, discounts: [{ coupon: 'half' }] });
  await expect(create({ discounts: [{ coupon: 'none' }] })).rejects.toMatchObject({
    code: 'resource_missing',
  });
});

it('a card can be saved without buying anything', async () => {
  const { customer } = await createClocked(test, { card: null });
  const session = await stripe.checkout.sessions.create({
    mode: 'setup',
    currency: 'eur',
    customer: customer.id,
    success_url: 'http://localhost:7071/done',
  });
  expect((await pay(session.url, 'declined')).status).toBe(402);
  expect((await pay(session.url, 'pays')).status).toBe(303);
  const done = await stripe.checkout.sessions.retrieve(session.id, { expand: ['setup_intent'] });
  expect(done).toMatchObject({
    status: 'complete',
    setup_intent: { status: 'succeeded', customer: customer.id },
  });
  expect((await stripe.paymentMethods.list({ customer: customer.id })).data).toHaveLength(1);
});

it('what no session can be is refused', async () => {
  const { customer } = await createClocked(test, { card: null });
  await expect(create({ mode: 'payment' })).rejects.toMatchObject({ statusCode: 501 });
  await expect(create({ success_url: 'done' })).rejects.toMatchObject({
    param: 'success_url',
    code: 'url_invalid',
  });
  await expect(create({ line_items: [] })).rejects.toMatchObject({ param: 'line_items' });
  await expect(create({ line_items: [{ price: 'price_none' }] })).rejects.toMatchObject({
    param: 'line_items[0][price]',
  });
  await expect(create({ customer: customer.id, customer_email: 'a@b.example' })).rejects.toMatchObject({
    statusCode: 400,
  });
  await expect(create({ expires_at: Math.floor(Date.now() / 1000) + 60 })).rejects.toMatchObject({
    param: 'expires_at',
  });
  await expect(create({ payment_method_types: ['card'] } as never)).rejects.toMatchObject({
    code: 'parameter_unknown',
  });
  await expect(create({ automatic_tax: { enabled: true } })).rejects.toMatchObject({ statusCode: 501 });
});

it('an open session is still there after a restart, on the page too', async () => {
  const session = await create();
  await test.restart();
  ({ stripe } = test);
  const url = `${test.server.url}${new URL(session.url ?? '').pathname}`;
  expect((await pay(url, 'pays', { email: 'a@b.example' })).status).toBe(303);
  expect(await stripe.checkout.sessions.retrieve(session.id)).toMatchObject({ status: 'complete' });
});
