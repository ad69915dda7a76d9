import { describe, expect, it } from 'vitest';
import type Stripe from 'stripe';
import { advance, createClocked, DAY, itemOf, postForm, START } from '../dev/stripe/test-billing.ts';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { until } from './harness/app.ts';
import { RETURN_ORIGIN, startBillingApp } from './harness/billing-app.ts';
import {
  addTenant,
  billingActions,
  customerOf,
  hold,
  sellPlans,
  subscribe,
  takeIn,
  type BillingTenant,
} from './harness/billing-tenants.ts';

const billing = await startBillingApp({ webhooks: false });
const { app } = billing;
const { stripe } = billing.stripe;
const prices = await sellPlans(billing);

const TO_PROFESSIONAL = { plan_id: 'professional', billing_cycle: 'monthly' };
const TO_STARTER = { plan_id: 'starter', billing_cycle: 'monthly' };

const atStripe = ({ id }: Pick<Stripe.Subscription, 'id'>): Promise<Stripe.Subscription> =>
  stripe.subscriptions.retrieve(id);

const invoicesOf = async (tenant: BillingTenant): Promise<Stripe.Invoice[]> =>
  (await stripe.invoices.list({ customer: await customerOf(billing, tenant), limit: 100 })).data;

/** A tenant that pays monthly for starter, in the time of a test clock. */
async function addClocked(
  id: string,
  { card, plan = prices.starter.monthly }: { card?: string; plan?: string } = {},
) {
  const tenant = await addTenant(app, id);
  const { clock, customer } = await createClocked(billing.stripe, card === undefined ? {} : { card });
  await app.admin.billing`insert into ops.stripe_customers (tenant_id, stripe_customer_id)
    values (${id}, ${customer.id})`;
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: plan }] });
  await takeIn(billing, tenant);
  return { tenant, clock, customer, subscription };
}

describe('GET /billing/subscription', () => {
  it('shows the free plan with its limits and their use', async () => {
    const tenant = await addTenant(app, 'free');
    const mapping = { detector: 'd', source_data: 's', model_version: 'v' };
    await app.request('POST', '/api/v1/mappings', { key: tenant.key, body: mapping });
    const { status, body } = await tenant.ask('GET', 'subscription');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      plan_id: 'free',
      plan_type: 'free',
      subscription_id: null,
      status: 'none',
      price: null,
      next: { event: 'none', at: null },
      standing: { standing: 'good', grace_ends_at: null, past_due_since: null },
    });
    const calls = body.limits.find((one: { usage_type: string }) => one.usage_type === 'api_calls');
    expect(calls).toMatchObject({ mode: 'hard', used: 1, limit: 1000, remaining: 999 });
  });

  it('shows one that an operator made with the tenant, and leaves its change to operators', async () => {
    const tenant = await addTenant(app, 'by-operator');
    await app.admin.billing`insert into user_subscriptions
      (tenant_id, subscription_id, plan_id, status, current_period_start, current_period_end)
      values (${tenant.id}, gen_random_uuid(), 'enterprise', 'active', now(), now() + interval '1 month')`;
    expect((await tenant.ask('GET', 'subscription')).body).toMatchObject({
      plan_id: 'enterprise',
      status: 'active',
      is_managed_by_operator: true,
      next: { event: 'none' },
    });
    for (const [path, body] of [
      ['cancel', { at: 'now' }],
      ['resume', undefined],
      ['change', TO_STARTER],
      ['change/preview', TO_STARTER],
    ] as const) {
      const refused = await tenant.ask('POST', `subscription/${path}`, body);
      expect([path, refused.status, refused.body.code]).toEqual([path, 409, 'CONFLICT']);
    }
  });

  it('says when it renews, when it ends, and what comes of a failed payment', async () => {
    const { tenant, clock, subscription } = await addClocked('next', { card: 'pm_card_visa' });
    const end = new Date(itemOf(subscription).current_period_end * 1000).toISOString();
    const next = async () => (await tenant.ask('GET', 'subscription')).body.next;
    expect(await next()).toEqual({ event: 'renews', at: end });
    await tenant.ask('POST', 'subscription/cancel', { at: 'period_end' });
    expect(await next()).toEqual({ event: 'cancels', at: end });
    await tenant.ask('POST', 'subscription/resume');
    expect(await next()).toEqual({ event: 'renews', at: end });
    const broken = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', {
      customer: await customerOf(billing, tenant),
    });
    await stripe.customers.update(await customerOf(billing, tenant), {
      invoice_settings: { default_payment_method: broken.id },
    });
    await advance(billing.stripe, clock, itemOf(subscription).current_period_end + DAY);
    await takeIn(billing, tenant);
    const { body } = await tenant.ask('GET', 'subscription');
    expect(body.status).toBe('past_due');
    expect(body.standing.past_due_since).not.toBeNull();
  });
});

describe('a cancellation', () => {
  it('at the end of the period keeps the plan until then, and can be taken back', async () => {
    const tenant = await addTenant(app, 'leaves');
    const made = await subscribe(billing, tenant);
    const cancelled = await tenant.ask('POST', 'subscription/cancel', {
      at: 'period_end',
      reason: 'too large',
    });
    expect(cancelled.status).toBe(200);
    expect(cancelled.body).toMatchObject({
      plan_id: 'starter',
      status: 'active',
      cancel_at_period_end: true,
      next: { event: 'cancels' },
    });
    expect((await atStripe(made)).cancellation_details?.comment).toBe('too large');
    const again = await tenant.ask('POST', 'subscription/cancel', { at: 'period_end' });
    expect([again.status, again.body.next]).toEqual([200, cancelled.body.next]);
    const resumed = await tenant.ask('POST', 'subscription/resume');
    expect(resumed.body).toMatchObject({
      cancel_at: null,
      cancel_at_period_end: false,
      next: { event: 'renews' },
    });
    expect(await atStripe(made)).toMatchObject({ cancel_at: null, cancel_at_period_end: false });
    await until(
      () => billingActions(billing, tenant),
      (actions) =>
        actions.includes('billing.subscription_cancelled') &&
        actions.includes('billing.subscription_resumed'),
    );
  });

  it('of the portal is taken back as well', async () => {
    const tenant = await addTenant(app, 'by-portal');
    const made = await subscribe(billing, tenant);
    await stripe.subscriptions.update(made.id, { cancel_at: 'max_period_end' });
    expect(await atStripe(made)).toMatchObject({ cancel_at_period_end: false });
    await takeIn(billing, tenant);
    expect((await tenant.ask('GET', 'subscription')).body.next.event).toBe('cancels');
    const resumed = await tenant.ask('POST', 'subscription/resume');
    expect(resumed.body).toMatchObject({ cancel_at: null, next: { event: 'renews' } });
    expect((await atStripe(made)).cancel_at).toBeNull();
  });

  it('now leads to the free plan at once; a second one and a resumption are 409', async () => {
    const tenant = await addTenant(app, 'ends');
    const made = await subscribe(billing, tenant);
    const ended = await tenant.ask('POST', 'subscription/cancel', { at: 'now' });
    expect(ended.body).toMatchObject({ plan_id: 'free', status: 'none', subscription_id: null });
    expect((await atStripe(made)).status).toBe('canceled');
    for (const [path, body] of [
      ['cancel', { at: 'now' }],
      ['resume', undefined],
    ] as const)
      expect((await tenant.ask('POST', `subscription/${path}`, body)).status).toBe(409);
    // It can buy again.
    expect((await subscribe(billing, tenant)).status).toBe('active');
  });

  it('now whose answer was lost is done when it is sent again', async () => {
    const tenant = await addTenant(app, 'ends-cut');
    const made = await subscribe(billing, tenant);
    const held = await hold(billing, `/v1/subscriptions/${made.id}`, 'after');
    const first = tenant.ask('POST', 'subscription/cancel', { at: 'now' }, { 'idempotency-key': 'end' });
    await held.reached;
    await held.release('cut');
    expect((await first).status).toBe(503);
    const second = await tenant.ask(
      'POST',
      'subscription/cancel',
      { at: 'now' },
      { 'idempotency-key': 'end' },
    );
    expect([second.status, second.body.status]).toEqual([200, 'none']);
  });

  it.each([
    ['nothing', null],
    ['no moment', {}],
    ['an unknown moment', { at: 'tomorrow' }],
    ['a reason that is too long', { at: 'now', reason: 'x'.repeat(501) }],
    ['an unknown member', { at: 'now', subscription_id: 'sub_1' }],
  ])('with %s is 400', async (title, body) => {
    const tenant = await addTenant(app, `bad-cancel-${title.replaceAll(' ', '-')}`);
    expect((await tenant.ask('POST', 'subscription/cancel', body)).status).toBe(400);
  });
});

describe('a change of plan', () => {
  it('bills what its preview said, to the cent', async () => {
    const { tenant, clock, subscription } = await addClocked('agrees');
    await advance(billing.stripe, clock, START + 10 * DAY);
    const before = await invoicesOf(tenant);
    const preview = await tenant.ask('POST', 'subscription/change/preview', TO_PROFESSIONAL);
    expect(preview.status).toBe(200);
    const [credit, debit] = [Math.round((2900 * 18) / 28), Math.round((9900 * 18) / 28)];
    const text = (cents: number): string => (cents / 100).toFixed(2);
    expect(preview.body).toMatchObject({
      currency: 'USD',
      lines: [
        { amount: text(-credit), is_proration: true },
        { amount: text(debit), is_proration: true },
      ],
      total: text(debit - credit),
      due_now: text(debit - credit),
      credited: '0.00',
      next_renewal: { amount: '99.00' },
    });
    // A preview changes nothing.
    expect(await invoicesOf(tenant)).toHaveLength(before.length);
    await advance(billing.stripe, clock, START + 10 * DAY + 600);
    const changed = await tenant.ask('POST', 'subscription/change', {
      ...TO_PROFESSIONAL,
      proration_date: preview.body.proration_date,
    });
    expect(changed.status).toBe(200);
    expect(changed.body).toMatchObject({ plan_id: 'professional', price: '99.00', status: 'active' });
    const [invoice] = await invoicesOf(tenant);
    expect([text(invoice?.total ?? 0), invoice?.status]).toEqual([preview.body.total, 'paid']);
    expect(itemOf(await atStripe(subscription)).price.id).toBe(prices.professional.monthly);
    expect(preview.body.next_renewal.at).toBe(
      new Date(itemOf(subscription).current_period_end * 1000).toISOString(),
    );
    await until(
      () => billingActions(billing, tenant),
      (actions) => actions.includes('billing.subscription_changed'),
    );
  });

  it('to a cheaper plan is at once as well, and leaves a credit', async () => {
    const { tenant, clock, customer } = await addClocked('cheaper', { plan: prices.professional.monthly });
    await advance(billing.stripe, clock, START + 10 * DAY);
    const preview = await tenant.ask('POST', 'subscription/change/preview', TO_STARTER);
    expect(preview.body).toMatchObject({ due_now: '0.00', total: '-45.00', credited: '45.00' });
    const { proration_date } = preview.body;
    const changed = await tenant.ask('POST', 'subscription/change', { ...TO_STARTER, proration_date });
    expect(changed.body.plan_id).toBe('starter');
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ balance: -4500 });
  });

  it('to the yearly cycle begins a new period, and its preview says the next renewal', async () => {
    const { tenant, clock } = await addClocked('to-yearly');
    await advance(billing.stripe, clock, START + 14 * DAY);
    const yearly = { plan_id: 'starter', billing_cycle: 'yearly' };
    const preview = await tenant.ask('POST', 'subscription/change/preview', yearly);
    expect(preview.body).toMatchObject({ total: '275.50', next_renewal: { amount: '290.00' } });
    const changed = await tenant.ask('POST', 'subscription/change', yearly);
    expect(changed.body).toMatchObject({ billing_cycle: 'yearly', price: '290.00' });
    expect(changed.body.current_period_end).toBe(preview.body.next_renewal.at);
  });

  it('in a trial costs nothing now', async () => {
    await app.admin.billing`update billing_plans set trial_days = 14 where plan_id = 'starter'`;
    const tenant = await addTenant(app, 'in-trial');
    const made = await subscribe(billing, tenant);
    await app.admin.billing`update billing_plans set trial_days = 0 where plan_id = 'starter'`;
    const preview = await tenant.ask('POST', 'subscription/change/preview', TO_PROFESSIONAL);
    expect(preview.body).toMatchObject({
      lines: [],
      due_now: '0.00',
      next_renewal: { amount: '99.00', at: new Date((made.trial_end ?? 0) * 1000).toISOString() },
    });
    const changed = await tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL);
    expect(changed.body).toMatchObject({ plan_id: 'professional', status: 'trialing' });
  });

  it('whose payment is declined is 402 and changes nothing; with another card it works', async () => {
    const tenant = await addTenant(app, 'declines');
    const made = await subscribe(billing, tenant);
    const customer = await customerOf(billing, tenant);
    const broken = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer });
    await stripe.subscriptions.update(made.id, { default_payment_method: broken.id });
    const invoices = await invoicesOf(tenant);
    const key = { 'idempotency-key': 'upgrade' };
    for (const headers of [key, key, {}]) {
      const refused = await tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL, headers);
      expect([refused.status, refused.body.code]).toEqual([402, 'PAYMENT_REQUIRED']);
    }
    expect(itemOf(await atStripe(made)).price.id).toBe(prices.starter.monthly);
    expect(await invoicesOf(tenant)).toHaveLength(invoices.length);
    expect((await tenant.ask('GET', 'subscription')).body).toMatchObject({
      plan_id: 'starter',
      status: 'active',
    });
    const good = await stripe.paymentMethods.attach('pm_card_visa', { customer });
    await stripe.subscriptions.update(made.id, { default_payment_method: good.id });
    const changed = await tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL, key);
    expect([changed.status, changed.body.plan_id]).toEqual([200, 'professional']);
  });

  it('without any card is 402', async () => {
    const { tenant, customer, subscription } = await addClocked('no-card');
    for (const { id } of (await stripe.paymentMethods.list({ customer: customer.id })).data)
      await stripe.paymentMethods.detach(id);
    const refused = await tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL);
    expect([refused.status, refused.body.code]).toEqual([402, 'PAYMENT_REQUIRED']);
    expect(itemOf(await atStripe(subscription)).price.id).toBe(prices.starter.monthly);
  });

  it('to the plan that it has already changes and bills nothing', async () => {
    const tenant = await addTenant(app, 'same');
    await subscribe(billing, tenant);
    const changed = await tenant.ask('POST', 'subscription/change', TO_STARTER);
    expect([changed.status, changed.body.plan_id]).toEqual([200, 'starter']);
    expect(await invoicesOf(tenant)).toHaveLength(1);
    expect((await tenant.ask('POST', 'subscription/change/preview', TO_STARTER)).status).toBe(409);
  });

  it('takes the metered prices of the new plan, and leaves those of the old one', async () => {
    const product = await stripe.products.create({ name: 'calls' });
    const meter = await stripe.billing.meters.create({
      display_name: 'calls',
      event_name: 'comply_ai_api_calls',
      default_aggregation: { formula: 'sum' },
    });
    const metered = async (): Promise<string> => {
      const recurring = { interval: 'month', usage_type: 'metered', meter: meter.id } as const;
      return (await stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 1, recurring }))
        .id;
    };
    const [old, next] = [await metered(), await metered()];
    for (const [plan, price] of [
      ['starter', old],
      ['professional', next],
    ] as const) {
      const meters = {
        api_calls: { meter_id: meter.id, event_name: 'comply_ai_api_calls', prices: { monthly: price } },
      };
      await app.admin
        .billing`update billing_plans set stripe_meters = ${app.admin.billing.json(meters)} where plan_id = ${plan}`;
    }
    const tenant = await addTenant(app, 'metered');
    const made = await subscribe(billing, tenant);
    const pricesOf = async () => (await atStripe(made)).items.data.map(({ price }) => price.id).sort();
    expect(await pricesOf()).toEqual([prices.starter.monthly, old].sort());
    expect((await tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL)).status).toBe(200);
    expect(await pricesOf()).toEqual([prices.professional.monthly, next].sort());
    await app.admin.billing`update billing_plans set stripe_meters = '{}'`;
  });
});

describe('changes that meet', () => {
  it('two equal ones at once are one', { timeout: 20_000 }, async () => {
    const tenant = await addTenant(app, 'equal');
    await subscribe(billing, tenant);
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL)),
    );
    expect(answers.map(({ status, body }) => [status, body.plan_id])).toEqual(
      Array(6).fill([200, 'professional']),
    );
    // The first payment, and one for the change.
    expect(await invoicesOf(tenant)).toHaveLength(2);
  });

  it('of two different ones at once, one is made and the other is told', async () => {
    const tenant = await addTenant(app, 'differ');
    const made = await subscribe(billing, tenant);
    const yearly = { plan_id: 'professional', billing_cycle: 'yearly' };
    // The first one waits, before it has seen anything, until the second one is made.
    const held = await hold(billing, `/v1/subscriptions/${made.id}`, 'before');
    const first = tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL);
    await held.reached;
    const second = await tenant.ask('POST', 'subscription/change', yearly);
    expect([second.status, second.body.billing_cycle]).toEqual([200, 'yearly']);
    await held.release('go');
    const told = await first;
    expect([told.status, told.body.code]).toEqual([409, 'CONFLICT']);
    expect(itemOf(await atStripe(made)).price.id).toBe(prices.professional.yearly);
    expect(await invoicesOf(tenant)).toHaveLength(2);
    // The next change is free again.
    expect((await tenant.ask('POST', 'subscription/change', TO_STARTER)).status).toBe(200);
  });

  it('one whose answer was lost is one change when it is sent again', async () => {
    const tenant = await addTenant(app, 'cut');
    const made = await subscribe(billing, tenant);
    const send = () =>
      tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL, { 'idempotency-key': 'upgrade' });
    // The look at the subscription comes first.
    const looked = await hold(billing, `/v1/subscriptions/${made.id}`, 'before');
    const first = send();
    await looked.reached;
    const held = await hold(billing, `/v1/subscriptions/${made.id}`, 'after');
    await looked.release('go');
    await held.reached;
    await held.release('cut');
    const lost = await first;
    expect([lost.status, lost.headers.has('retry-after')]).toEqual([503, true]);
    const second = await send();
    expect([second.status, second.body.plan_id]).toEqual([200, 'professional']);
    expect(await invoicesOf(tenant)).toHaveLength(2);
    expect((await send()).headers.get('idempotency-replayed')).toBe('true');
    // Two more, there and back: no old answer of Stripe comes again.
    for (const plan of ['starter', 'professional'])
      expect(
        (await tenant.ask('POST', 'subscription/change', { ...TO_STARTER, plan_id: plan })).body.plan_id,
      ).toBe(plan);
  });

  it('Stripe that does not answer is 503 within two seconds, and nothing is changed', async () => {
    const tenant = await addTenant(app, 'away');
    const made = await subscribe(billing, tenant);
    const held = await hold(billing, `/v1/subscriptions/${made.id}`, 'before');
    const begun = Date.now();
    const refused = await tenant.ask('POST', 'subscription/change', TO_PROFESSIONAL);
    expect(Date.now() - begun).toBeLessThan(2_000);
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);
    await held.release('cut');
    expect((await tenant.ask('GET', 'subscription')).body.plan_id).toBe('starter');
  });
});

describe('a change is refused', () => {
  it.each([
    ['for a plan that does not exist', { plan_id: 'gold', billing_cycle: 'monthly' }, 400],
    ['for the free plan', { plan_id: 'free', billing_cycle: 'monthly' }, 400],
    ['for a plan that is not sold', { plan_id: 'enterprise', billing_cycle: 'monthly' }, 409],
    ['without a cycle', { plan_id: 'professional' }, 400],
    ['with another tenant’s subscription', { ...TO_PROFESSIONAL, subscription_id: 'sub_1' }, 400],
    ['with a date that is none', { ...TO_PROFESSIONAL, proration_date: 'now' }, 400],
  ])('%s', async (title, body, status) => {
    const tenant = await addTenant(app, `refused-${title.replaceAll(/\W+/g, '-')}`);
    await subscribe(billing, tenant);
    expect((await tenant.ask('POST', 'subscription/change', body)).status).toBe(status);
    expect((await tenant.ask('GET', 'subscription')).body.plan_id).toBe('starter');
  });

  it('with a date that is not from a preview of the last hour: it would make the change nearly free', async () => {
    const { tenant, clock, subscription } = await addClocked('dates');
    await advance(billing.stripe, clock, START + 10 * DAY);
    const end = itemOf(subscription).current_period_end;
    for (const seconds of [end - 1, START + 8 * DAY, START + 10 * DAY + 3600]) {
      const proration_date = new Date(seconds * 1000).toISOString();
      const refused = await tenant.ask('POST', 'subscription/change', { ...TO_PROFESSIONAL, proration_date });
      expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, '/proration_date']);
    }
  });

  it('without a subscription', async () => {
    const tenant = await addTenant(app, 'has-none');
    for (const path of ['change', 'change/preview'])
      expect((await tenant.ask('POST', `subscription/${path}`, TO_STARTER)).status).toBe(409);
  });

  it('to a key that only reads', async () => {
    const tenant = await addTenant(app, 'reads');
    const key = await app.makeKey(tenant.id, ['billing:read']);
    const ask = (path: string, body?: object) =>
      app.request('POST', `/api/v1/billing/subscription/${path}`, { key, body });
    for (const path of ['cancel', 'resume', 'change']) expect((await ask(path, {})).status).toBe(403);
    expect((await ask('change/preview', TO_STARTER)).status).toBe(409);
    const reader = await app.makeKey(tenant.id, PERMISSION_SETS.reader);
    expect((await app.request('GET', '/api/v1/billing/subscription', { key: reader })).status).toBe(403);
  });
});

describe('another tenant', () => {
  it('changes its own subscription only, whoever asks', async () => {
    const [one, other] = [await addTenant(app, 'one'), await addTenant(app, 'other')];
    const [mine, theirs] = [await subscribe(billing, one), await subscribe(billing, other)];
    await one.ask('POST', 'subscription/cancel', { at: 'now' });
    expect((await atStripe(mine)).status).toBe('canceled');
    expect(await atStripe(theirs)).toMatchObject({ status: 'active', cancel_at: null });
    const page = await one.ask('POST', 'portal-sessions', { return_url: `${RETURN_ORIGIN}/` });
    const text = await (await fetch(page.body.url)).text();
    expect(text).not.toContain(theirs.id);
    // The portal's form refuses the id of another customer's subscription as well.
    await postForm(page.body.url, { action: 'cancel', subscription: theirs.id });
    expect(await atStripe(theirs)).toMatchObject({ status: 'active', cancel_at: null });
  });
});
