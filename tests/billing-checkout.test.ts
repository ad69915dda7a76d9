import { describe, expect, it } from 'vitest';
import { cardForm, postForm } from '../dev/stripe/test-billing.ts';
import { closeCheckout } from '../shared/domains/billing/checkout/checkout-rows.ts';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { until, type TestAnswer } from './harness/app.ts';
import { RETURN_ORIGIN, startBillingApp } from './harness/billing-app.ts';
import {
  addTenant,
  billingActions,
  checkoutOf,
  customerOf,
  hold,
  payCheckout,
  sellPlans,
  subscribe,
  takeIn,
  type BillingTenant,
} from './harness/billing-tenants.ts';
import { makeCall } from './harness/own-call.ts';

const billing = await startBillingApp({ webhooks: false });
const { app } = billing;
const { stripe } = billing.stripe;
const prices = await sellPlans(billing);

/** What a person waits at most for an answer when Stripe is away. */
const AWAY_MS = 2_000;

const open = (tenant: BillingTenant, body: object, headers = {}): Promise<TestAnswer> =>
  tenant.ask('POST', 'checkout-sessions', body, headers);

const sessionsOf = async (tenant: BillingTenant) =>
  (await stripe.checkout.sessions.list({ customer: await customerOf(billing, tenant), limit: 100 })).data;

const customersOf = async (tenant: BillingTenant) =>
  (await stripe.customers.list({ limit: 100 }).autoPagingToArray({ limit: 1_000 })).filter(
    ({ metadata }) => metadata['tenant_id'] === tenant.id,
  );

describe('a checkout', () => {
  it('leads from the free plan to a paid one, and is in the trail', async () => {
    const tenant = await addTenant(app, 'buyer');
    const opened = await open(tenant, checkoutOf('starter'));
    expect(opened.status).toBe(201);
    expect(Object.keys(opened.body).sort()).toEqual(['checkout_id', 'expires_at', 'url']);
    const [session] = await sessionsOf(tenant);
    const metadata = { tenant_id: tenant.id, checkout_id: opened.body.checkout_id };
    expect(session).toMatchObject({
      mode: 'subscription',
      url: opened.body.url,
      metadata,
      success_url: `${RETURN_ORIGIN}/paid?session={CHECKOUT_SESSION_ID}`,
    });
    const subscription = await payCheckout(billing, tenant, opened.body.url);
    expect(subscription).toMatchObject({ status: 'active', metadata });
    expect(subscription.items.data.map(({ price }) => price.id)).toEqual([prices.starter.monthly]);
    expect((await tenant.ask('GET', 'subscription')).body).toMatchObject({
      plan_id: 'starter',
      status: 'active',
      price: '29.00',
      currency: 'USD',
      next: { event: 'renews' },
    });
    await until(
      () => billingActions(billing, tenant),
      (actions) => actions.includes('billing.checkout_opened'),
    );
    const again = await open(tenant, checkoutOf('professional'));
    expect([again.status, again.body.code]).toEqual([409, 'CONFLICT']);
  });

  it('of the yearly cycle has the yearly price', async () => {
    const tenant = await addTenant(app, 'yearly');
    const subscription = await subscribe(billing, tenant, 'starter', { billing_cycle: 'yearly' });
    expect(subscription.items.data.map(({ price }) => price.id)).toEqual([prices.starter.yearly]);
    expect((await tenant.ask('GET', 'subscription')).body).toMatchObject({
      billing_cycle: 'yearly',
      price: '290.00',
    });
  });

  it.each([
    ['an origin that is not allowed', { success_url: 'https://evil.example/paid' }, '/success_url'],
    ['another port', { cancel_url: `${RETURN_ORIGIN}:8443/` }, '/cancel_url'],
    ['a name before the host', { cancel_url: 'https://app.globex.example@evil.example/' }, '/cancel_url'],
    ['a user name', { success_url: 'https://me@app.globex.example/' }, '/success_url'],
    ['another scheme', { success_url: 'javascript:alert(1)' }, '/success_url'],
    ['plain http', { success_url: RETURN_ORIGIN.replace('https', 'http') }, '/success_url'],
    ['no address', { success_url: 'paid' }, '/success_url'],
    ['a plan that does not exist', { plan_id: 'gold' }, '/plan_id'],
    ['the free plan', { plan_id: 'free' }, '/plan_id'],
    ['a code that does not exist', { promotional_code: 'NOPE' }, '/promotional_code'],
    ['a cycle that does not exist', { billing_cycle: 'weekly' }, '/billing_cycle'],
    ['an unknown member', { payment_method_types: ['card'] }, '/payment_method_types'],
  ])('with %s is 400 and nothing is made', async (title, wrong, pointer) => {
    const tenant = await addTenant(app, `wrong-${title.replaceAll(/\W+/g, '-')}`);
    const refused = await open(tenant, checkoutOf('starter', wrong));
    expect([refused.status, refused.body.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(refused.body.errors.map((fault: { pointer: string }) => fault.pointer)).toContain(pointer);
    expect(await app.admin.billing`select from ops.checkout_sessions where tenant_id = ${tenant.id}`).toEqual(
      [],
    );
  });

  it('does not give an address to Stripe that two parsers read differently', async () => {
    const tenant = await addTenant(app, 'backslash');
    const opened = await open(
      tenant,
      checkoutOf('starter', { cancel_url: `${RETURN_ORIGIN}\\@evil.example` }),
    );
    expect(opened.status).toBe(201);
    const [session] = await sessionsOf(tenant);
    expect(session?.cancel_url).toBe(`${RETURN_ORIGIN}/@evil.example`);
  });

  it('is 409 for a plan that is not sold, or not carried to Stripe', async () => {
    const tenant = await addTenant(app, 'not-sold');
    const refused = await open(tenant, checkoutOf('enterprise'));
    expect([refused.status, refused.body.detail]).toEqual([
      409,
      'The plan is not sold in this billing cycle.',
    ]);
    await app.admin
      .billing`insert into billing_plans (plan_id, plan_name, plan_type, stripe_price_id, is_active)
      values ('gone', 'Gone', 'paid', 'price_gone', false)`;
    const gone = await open(tenant, checkoutOf('gone'));
    expect([gone.status, gone.body.detail]).toEqual([409, 'The plan is no longer sold.']);
  });

  it('begins with the trial of its plan, once a tenant', async () => {
    await app.admin.billing`update billing_plans set trial_days = 14 where plan_id = 'professional'`;
    const tenant = await addTenant(app, 'trial');
    const first = await subscribe(billing, tenant, 'professional');
    expect(first.status).toBe('trialing');
    expect((await tenant.ask('GET', 'subscription')).body.next.event).toBe('trial_ends');
    await tenant.ask('POST', 'subscription/cancel', { at: 'now' });
    const second = await subscribe(billing, tenant, 'professional');
    expect(second.status).toBe('active');
    await app.admin.billing`update billing_plans set trial_days = 0 where plan_id = 'professional'`;
  });

  it('takes a declined card no further', async () => {
    const tenant = await addTenant(app, 'declined');
    const opened = await open(tenant, checkoutOf('starter'));
    const page = await postForm(opened.body.url, { action: 'pay', ...cardForm('declined') });
    expect(page.status).toBe(402);
    expect((await tenant.ask('GET', 'subscription')).body).toMatchObject({ plan_id: 'free', status: 'none' });
    // The same page takes another card.
    expect((await payCheckout(billing, tenant, opened.body.url)).status).toBe('active');
  });
});

describe('checkouts of one tenant', () => {
  it('twenty at once make one customer and one session', { timeout: 30_000 }, async () => {
    const tenant = await addTenant(app, 'twenty');
    const answers = await Promise.all(Array.from({ length: 20 }, () => open(tenant, checkoutOf('starter'))));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
    expect(new Set(answers.map(({ body }) => body.url)).size).toBe(1);
    expect(await customersOf(tenant)).toHaveLength(1);
    expect(await sessionsOf(tenant)).toHaveLength(1);
  });

  it('for different wishes at once leave one page to pay at', { timeout: 30_000 }, async () => {
    const tenant = await addTenant(app, 'undecided');
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => open(tenant, checkoutOf(n % 2 === 0 ? 'starter' : 'professional'))),
    );
    // On a slow machine, some are 503: each wish waits for the others at Stripe, and for two seconds in all.
    for (const { status } of answers) expect([201, 409, 503]).toContain(status);
    expect(await customersOf(tenant)).toHaveLength(1);
    const given = new Set(
      answers.flatMap(({ status, body }): string[] => (status === 201 ? [body.url] : [])),
    );
    const payable = async (): Promise<string[]> => {
      const pages = await Promise.all(
        [...given].map(async (url) => [url, (await fetch(url)).status] as const),
      );
      return pages.flatMap(([url, status]) => (status === 200 ? [url] : []));
    };
    expect((await payable()).length).toBeLessThanOrEqual(1);
    const last = await open(tenant, checkoutOf('starter'));
    expect(last.status).toBe(201);
    given.add(last.body.url);
    expect(await payable()).toEqual([last.body.url]);
  });

  it('for another wish do not give up a page that was given out meanwhile', async () => {
    const tenant = await addTenant(app, 'meanwhile');
    const { body } = await open(tenant, checkoutOf('starter'));
    const call = await makeCall(app.services, { tenant: tenant.id, route: 'test' });
    // What another request saw, before the page was known.
    await closeCheckout(call, { checkoutId: body.checkout_id, stripeSessionId: null });
    expect((await open(tenant, checkoutOf('starter'))).body.checkout_id).toBe(body.checkout_id);
    const [session] = await sessionsOf(tenant);
    await closeCheckout(call, { checkoutId: body.checkout_id, stripeSessionId: session?.id ?? '' });
    expect((await open(tenant, checkoutOf('starter'))).body.checkout_id).not.toBe(body.checkout_id);
  });

  it('get the open page again for the same wish, and a new one for another', async () => {
    const tenant = await addTenant(app, 'again');
    const first = await open(tenant, checkoutOf('starter'));
    const same = await open(tenant, checkoutOf('starter'));
    expect(same.body).toEqual(first.body);
    const other = await open(tenant, checkoutOf('professional'));
    expect(other.body.checkout_id).not.toBe(first.body.checkout_id);
    expect((await fetch(first.body.url)).status).toBe(410);
    expect((await fetch(other.body.url)).status).toBe(200);
  });

  it('with one Idempotency-Key have one answer, and 422 for another wish', async () => {
    const tenant = await addTenant(app, 'keyed');
    const headers = { 'idempotency-key': 'one' };
    const first = await open(tenant, checkoutOf('starter'), headers);
    const again = await open(tenant, checkoutOf('starter'), headers);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await open(tenant, checkoutOf('professional'), headers)).status).toBe(422);
    expect((await fetch(first.body.url)).status).toBe(200);
  });

  it('after one was paid are 409, also before its events have come', async () => {
    const tenant = await addTenant(app, 'quick');
    const first = await open(tenant, checkoutOf('starter'));
    await postForm(first.body.url, { action: 'pay', ...cardForm('pays') });
    for (const plan of ['starter', 'professional']) {
      const refused = await open(tenant, checkoutOf(plan));
      expect([refused.status, refused.body.code]).toEqual([409, 'CONFLICT']);
    }
    // What was paid is taken in at once.
    expect((await tenant.ask('GET', 'subscription')).body).toMatchObject({
      plan_id: 'starter',
      status: 'active',
    });
    await takeIn(billing, tenant);
    const customer = await customerOf(billing, tenant);
    expect((await stripe.subscriptions.list({ customer, status: 'all' })).data).toHaveLength(1);
  });

  it('get a new page once the old one has expired', async () => {
    const tenant = await addTenant(app, 'expired');
    const first = await open(tenant, checkoutOf('starter'));
    const [session] = await sessionsOf(tenant);
    await stripe.checkout.sessions.expire(session?.id ?? '');
    const second = await open(tenant, checkoutOf('starter'));
    expect(second.status).toBe(201);
    expect(second.body.checkout_id).not.toBe(first.body.checkout_id);
  });
});

describe('a promotional code', () => {
  const addCode = async (code: string, columns: object = {}): Promise<void> => {
    const coupon = await stripe.coupons.create({ percent_off: 50, duration: 'once' });
    const promotion = await stripe.promotionCodes.create({
      code,
      promotion: { type: 'coupon', coupon: coupon.id },
    });
    const row = {
      code,
      discount_type: 'percentage',
      discount_value: 50,
      stripe_coupon_id: coupon.id,
      stripe_promotion_code_id: promotion.id,
      max_uses: 1,
      ...columns,
    };
    await app.admin.billing`insert into promotional_codes ${app.admin.billing(row as never)}`;
  };
  const usesOf = async (code: string): Promise<unknown> => {
    const [row] = await app.admin.billing`select current_uses from promotional_codes where code = ${code}`;
    return row?.['current_uses'];
  };

  it('takes its part off, is reserved with the page and used with the payment', async () => {
    await addCode('HALF');
    const tenant = await addTenant(app, 'half');
    const opened = await open(tenant, checkoutOf('starter', { promotional_code: ' half ' }));
    expect(opened.status).toBe(201);
    expect(await usesOf('HALF')).toBe(1);
    const [session] = await sessionsOf(tenant);
    expect(session?.amount_total).toBe(1450);
    const other = await open(
      await addTenant(app, 'too-late'),
      checkoutOf('starter', { promotional_code: 'HALF' }),
    );
    expect([other.status, other.body.detail]).toEqual([409, 'The promotional code is used up.']);
    await payCheckout(billing, tenant, opened.body.url);
    const [use] = await app.admin
      .billing`select status from promotional_code_usage where tenant_id = ${tenant.id} and code = 'HALF'`;
    expect(use?.['status']).toBe('used');
    expect((await tenant.ask('GET', 'subscription')).body.promotional_code).toBe('HALF');
  });

  it('is free again when another wish closes the page', async () => {
    await addCode('BACK');
    const tenant = await addTenant(app, 'gives-back');
    await open(tenant, checkoutOf('starter', { promotional_code: 'BACK' }));
    expect(await usesOf('BACK')).toBe(1);
    await open(tenant, checkoutOf('starter'));
    expect(await usesOf('BACK')).toBe(0);
  });

  it('is free again when Stripe refuses the checkout', async () => {
    await addCode('GONE');
    const [row] = await app.admin
      .billing`select stripe_promotion_code_id as id from promotional_codes where code = 'GONE'`;
    await stripe.promotionCodes.update(String(row?.['id']), { active: false });
    const tenant = await addTenant(app, 'refused');
    const refused = await open(tenant, checkoutOf('starter', { promotional_code: 'GONE' }));
    expect([refused.status, refused.body.code]).toEqual([409, 'CONFLICT']);
    expect(await usesOf('GONE')).toBe(0);
    expect((await open(tenant, checkoutOf('starter'))).status).toBe(201);
  });

  it('of a free trial begins with as many days', async () => {
    await addCode('MONTH-FREE', {
      discount_type: 'free_trial',
      discount_value: 30,
      stripe_coupon_id: null,
      stripe_promotion_code_id: null,
    });
    const tenant = await addTenant(app, 'month-free');
    const subscription = await subscribe(billing, tenant, 'starter', { promotional_code: 'MONTH-FREE' });
    expect(subscription.status).toBe('trialing');
    const days = ((subscription.trial_end ?? 0) - (subscription.trial_start ?? 0)) / 86_400;
    expect(days).toBeCloseTo(30, 1);
  });
});

describe('where something dies on the way', () => {
  it.each([
    ['the customer', '/v1/customers'],
    ['the session', '/v1/checkout/sessions'],
  ])(
    'between Stripe’s answer with %s and our commit, the same request again makes one of each',
    async (what, path) => {
      const tenant = await addTenant(app, `cut-${what.slice(4)}`);
      const held = await hold(billing, path, 'after');
      const first = open(tenant, checkoutOf('starter'));
      await held.reached;
      await held.release('cut');
      const lost = await first;
      expect([lost.status, lost.headers.has('retry-after')]).toEqual([503, true]);
      const second = await open(tenant, checkoutOf('starter'));
      expect(second.status).toBe(201);
      expect(await customersOf(tenant)).toHaveLength(1);
      expect(await sessionsOf(tenant)).toHaveLength(1);
      expect((await payCheckout(billing, tenant, second.body.url)).status).toBe('active');
    },
  );

  it('a lost customer is found again after Stripe has forgotten the key', async () => {
    const tenant = await addTenant(app, 'forgotten');
    const lost = await stripe.customers.create({ metadata: { tenant_id: tenant.id } });
    await app.admin.billing`insert into ops.stripe_customers (tenant_id, first_attempt_at, last_attempt_at)
      values (${tenant.id}, now() - interval '25 hours', now() - interval '1 minute')`;
    expect((await open(tenant, checkoutOf('starter'))).status).toBe(201);
    expect(await customerOf(billing, tenant)).toBe(lost.id);
    expect(await customersOf(tenant)).toHaveLength(1);
  });

  it('an attempt that never reached Stripe leads to a new customer, also days later', async () => {
    const tenant = await addTenant(app, 'never-sent');
    await app.admin.billing`insert into ops.stripe_customers (tenant_id, first_attempt_at, last_attempt_at)
      values (${tenant.id}, now() - interval '9 days', now() - interval '9 days')`;
    expect((await open(tenant, checkoutOf('starter'))).status).toBe(201);
    expect(await customersOf(tenant)).toHaveLength(1);
  });

  it(
    'Stripe that does not answer is 503 within two seconds, and all else works',
    { timeout: 20_000 },
    async () => {
      const tenant = await addTenant(app, 'away');
      const held = await hold(billing, '/v1/customers', 'before');
      const begun = Date.now();
      const waiting = Array.from({ length: 12 }, () => open(tenant, checkoutOf('starter')));
      await held.reached;
      const usage = await app.request('GET', '/api/v1/usage', { key: tenant.key });
      expect(usage.status).toBe(200);
      const mapping = { detector: 'd', source_data: 's', model_version: 'v' };
      expect((await app.request('POST', '/api/v1/mappings', { key: tenant.key, body: mapping })).status).toBe(
        201,
      );
      expect((await tenant.ask('GET', 'subscription')).status).toBe(200);
      // Nothing of that has waited for the checkouts.
      expect(Date.now() - begun).toBeLessThan(AWAY_MS);
      const answers = await Promise.all(waiting);
      expect(Date.now() - begun).toBeLessThan(AWAY_MS + 500);
      const refused = answers.filter(({ status }) => status === 503);
      expect(refused.length).toBeGreaterThan(0);
      for (const { body, headers } of refused) {
        expect(body.code).toBe('DEPENDENCY_UNAVAILABLE');
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
      await held.release('cut');
      expect((await open(tenant, checkoutOf('starter'))).status).toBe(201);
      expect(await customersOf(tenant)).toHaveLength(1);
    },
  );
});

describe('the portal', () => {
  it('opens for the tenant’s own customer, and only with an allowed address', async () => {
    const tenant = await addTenant(app, 'portal');
    await subscribe(billing, tenant);
    const opened = await tenant.ask('POST', 'portal-sessions', { return_url: `${RETURN_ORIGIN}/account` });
    expect(opened.status).toBe(201);
    expect(await (await fetch(opened.body.url)).text()).toContain('starter');
    const refused = await tenant.ask('POST', 'portal-sessions', { return_url: 'https://evil.example/' });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, '/return_url']);
    await until(
      () => billingActions(billing, tenant),
      (actions) => actions.includes('billing.portal_opened'),
    );
  });
});

describe('a page to pay at', () => {
  it('needs billing:manage', async () => {
    const tenant = await addTenant(app, 'reader');
    const key = await app.makeKey(tenant.id, PERMISSION_SETS.reader);
    for (const path of ['checkout-sessions', 'portal-sessions']) {
      const refused = await app.request('POST', `/api/v1/billing/${path}`, { key, body: {} });
      expect([refused.status, refused.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    }
  });

  it('is open to a tenant whose allowance is spent, and to a suspended one', async () => {
    const tenant = await addTenant(app, 'spent');
    await app.request('GET', '/api/v1/usage', { key: tenant.key });
    await app.admin
      .billing`update free_tier_usage set current_usage = usage_limit where tenant_id = ${tenant.id}`;
    const mapping = { detector: 'd', source_data: 's', model_version: 'v' };
    const refused = await app.request('POST', '/api/v1/mappings', { key: tenant.key, body: mapping });
    expect(refused.status).toBe(402);
    expect((await open(tenant, checkoutOf('starter'))).status).toBe(201);
    await app.admin.core`update tenants set status = 'suspended' where tenant_id = ${tenant.id}`;
    await until(
      () => app.request('POST', '/api/v1/mappings', { key: tenant.key, body: mapping }),
      ({ body }) => body.code === 'INSUFFICIENT_RBAC',
      6,
    );
    expect((await open(tenant, checkoutOf('starter'))).status).toBe(201);
  });
});

describe('what is logged', () => {
  it('has no card number, no secret and no address of a page', () => {
    const text = app.logLines.join('\n');
    expect(text).not.toContain('4242');
    expect(text).not.toContain(billing.stripe.secretKey);
    expect(text).not.toContain('/_stand-in/pages/');
  });
});
