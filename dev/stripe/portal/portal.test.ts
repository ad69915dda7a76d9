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
  itemOf,
  postForm,
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

interface Visit {
  readonly url: string;
  readonly id: string;
  readonly customer: string;
  readonly clock: Stripe.TestHelpers.TestClock;
}

/** A customer with a subscription, who has been sent to the portal. */
async function visit(more: Partial<Stripe.BillingPortal.SessionCreateParams> = {}): Promise<Visit> {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  const session = await stripe.billingPortal.sessions.create({
    customer: customer.id,
    return_url: 'http://localhost:7071/billing',
    ...more,
  });
  return { url: session.url, id, customer: customer.id, clock };
}

const look = async (url: string): Promise<string> => (await fetch(url)).text();

it('the page shows the plan, the card and the invoices', async () => {
  const { url, customer } = await visit();
  const text = await look(url);
  const [invoice] = (await stripe.invoices.list({ customer })).data;
  for (const part of [
    'Team, €49.00 / month',
    'Renews on 28 February 2026.',
    'Visa ending in 4242',
    `href="${invoice?.hosted_invoice_url}"`,
    '>Cancel subscription</button>',
    '>Change plan</button>',
    '>Save new card</button>',
    'href="http://localhost:7071/billing"',
  ])
    expect(text).toContain(part);
  expect(text).not.toContain('<script');
  expect((await fetch(url.slice(0, -1))).status).toBe(404);
  const [configuration] = (await stripe.billingPortal.configurations.list({ is_default: true })).data;
  expect(configuration).toMatchObject({
    active: true,
    features: { subscription_cancel: { mode: 'at_period_end' } },
  });
});

it('a cancellation in the portal is a cancel_at, and can be taken back', async () => {
  const { url, id, clock } = await visit();
  const canceled = await postForm(url, { action: 'cancel', subscription: id });
  expect(await canceled.text()).toContain('Ends on 28 February 2026.');
  // As in Stripe's portal with flexible billing.
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({
    status: 'active',
    cancel_at: END,
    cancel_at_period_end: false,
  });
  await postForm(url, { action: 'keep', subscription: id });
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ cancel_at: null, canceled_at: null });
  await postForm(url, { action: 'cancel', subscription: id });
  await advance(test, clock, END + HOUR);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: 'canceled', ended_at: END });
  expect(await look(url)).not.toContain('Cancel subscription');
});

it('the plan changes for what was shown before', async () => {
  const { url, id, clock } = await visit();
  await advance(test, clock, START + 14 * DAY);
  expect(await look(url)).toContain(`<option value="${plans.business.id}">Business, €99.00 / month</option>`);
  const asked = await (
    await postForm(url, { action: 'preview', subscription: id, price: plans.business.id })
  ).text();
  expect(asked).toContain('Unused time on Team after 14 Feb 2026');
  expect(asked).toContain('€25.00');
  const prorationDate = /name="proration_date"\s+value="(\d+)"/.exec(asked)?.[1] ?? '';
  await advance(test, clock, START + 14 * DAY + 600);
  const changed = await postForm(url, {
    action: 'change',
    subscription: id,
    price: plans.business.id,
    proration_date: prorationDate,
  });
  expect(await changed.text()).toContain('Your plan is changed.');
  const subscription = await stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] });
  expect(itemOf(subscription).price.id).toBe(plans.business.id);
  expect(subscription.latest_invoice).toMatchObject({ status: 'paid', total: 2500 });
});

it('a plan whose payment is declined is not changed', async () => {
  const { url, id, customer } = await visit();
  const settings = { default_payment_method: 'pm_card_chargeCustomerFail' };
  await stripe.customers.update(customer, { invoice_settings: settings });
  const form = {
    action: 'change',
    subscription: id,
    price: plans.teamYearly.id,
    proration_date: String(START),
  };
  const declined = await postForm(url, form);
  expect([declined.status, await declined.text()]).toEqual([
    402,
    expect.stringContaining('Your card was declined.'),
  ]);
  expect(itemOf(await stripe.subscriptions.retrieve(id)).price.id).toBe(plans.team.id);
});

it('a new card replaces the old one for all that it paid', async () => {
  const { url, id, customer } = await visit();
  const old = idIn(
    ((await stripe.customers.retrieve(customer)) as Stripe.Customer).invoice_settings.default_payment_method,
  );
  await stripe.subscriptions.update(id, { default_payment_method: old });
  expect((await postForm(url, { action: 'replace-card', ...cardForm('declined') })).status).toBe(402);
  const saved = await postForm(url, { action: 'replace-card', ...cardForm('later') });
  expect(await saved.text()).toContain('ending in 0341');
  const subscription = await stripe.subscriptions.retrieve(id, {
    expand: ['default_payment_method', 'customer.invoice_settings.default_payment_method'],
  });
  expect(subscription).toMatchObject({
    default_payment_method: { card: { last4: '0341' } },
    customer: { invoice_settings: { default_payment_method: { card: { last4: '0341' } } } },
  });
});

it('nobody reaches the subscription of another customer', async () => {
  const [one, other] = [await visit(), await visit()];
  for (const action of ['cancel', 'keep', 'preview', 'change']) {
    const form = { action, subscription: other.id, price: plans.business.id, proration_date: String(START) };
    expect((await postForm(one.url, form)).status).toBe(402);
  }
  expect(await stripe.subscriptions.retrieve(other.id)).toMatchObject({ cancel_at: null });
  expect(await look(one.url)).not.toContain(other.id);
});

it('a flow shows one thing, and leads back when it is done', async () => {
  const { customer, clock } = await createClocked(test);
  const { id } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plans.team.id }],
  });
  const session = await stripe.billingPortal.sessions.create({
    customer: customer.id,
    flow_data: {
      type: 'subscription_cancel',
      subscription_cancel: { subscription: id },
      after_completion: { type: 'redirect', redirect: { return_url: 'http://localhost:7071/canceled' } },
    },
  });
  expect(session.flow).toMatchObject({
    type: 'subscription_cancel',
    subscription_cancel: { subscription: id },
  });
  const text = await look(session.url);
  expect(text).toContain('Cancel subscription');
  expect(text).not.toContain('Change plan');
  const done = await postForm(session.url, { action: 'cancel', subscription: id });
  expect([done.status, done.headers.get('location')]).toEqual([303, 'http://localhost:7071/canceled']);
  const card = await stripe.billingPortal.sessions.create({
    customer: customer.id,
    flow_data: { type: 'payment_method_update' },
  });
  expect(await look(card.url)).not.toContain('Cancel subscription');
  const wrong = stripe.billingPortal.sessions.create({
    customer: (await createClocked(test)).customer.id,
    flow_data: { type: 'subscription_cancel', subscription_cancel: { subscription: id } },
  });
  await expect(wrong).rejects.toMatchObject({ param: 'flow_data[subscription_cancel][subscription]' });
  await stripe.testHelpers.testClocks.del(clock.id);
});
