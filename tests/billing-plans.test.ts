import { execFile } from 'node:child_process';
import path from 'node:path';
import Stripe from 'stripe';
import { describe, expect, it } from 'vitest';
import { carry, carryAll } from '../shared/domains/billing/catalog/carry.ts';
import { carryPlan } from '../shared/domains/billing/plans/carry-plan.ts';
import { meterEventName } from '../shared/domains/billing/plans/meters.ts';
import { planOfPrice } from '../shared/domains/billing/plans/plan-of-price.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { until, type TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';

const { app, stripe } = await startBillingApp({ webhooks: false });
const { operator, acme } = app.keys;
const { billing } = app.services.crossTenant;
const PLANS = '/api/v1/platform/billing/plans';
// What is written to the outbox is published and deleted at once.
await app.admin.billing.unsafe(`create table outbox_copies (tenant_id text, events jsonb);
  create function copy_outbox() returns trigger language plpgsql security definer as
    'begin insert into public.outbox_copies values (new.tenant_id, new.events); return null; end';
  create trigger copy_outbox after insert on ops.outbox for each row execute function copy_outbox()`);

let made = 0;
const nextId = (): string => `plan-${(made += 1)}`;
const METERED = {
  limits: { api_calls: 1000, storage_gb: 5 },
  limit_policies: {
    api_calls: { mode: 'metered', overage_unit_amount_decimal: '0.50' },
    storage_gb: { mode: 'soft' },
  },
};

interface Body {
  readonly plan_id?: string;
  readonly [field: string]: unknown;
}

const post = ({ plan_id = nextId(), ...body }: Body = {}): Promise<TestAnswer> =>
  app.request('POST', PLANS, {
    key: operator,
    body: { plan_id, plan_name: 'Made', plan_type: 'paid', price_monthly: 4900, ...body },
  });
const put = (id: string, body: Body = {}): Promise<TestAnswer> =>
  app.request('PUT', `${PLANS}/${id}`, {
    key: operator,
    headers: { 'if-match': '*' },
    body: { plan_name: 'Made', plan_type: 'paid', price_monthly: 4900, ...body },
  });
const read = async (id: string): Promise<TestAnswer['body']> =>
  (await app.request('GET', `${PLANS}/${id}`, { key: operator })).body;

async function makePlan(body: Body = {}): Promise<TestAnswer['body']> {
  const answer = await post(body);
  expect([answer.status, answer.status === 201 ? '' : answer.body]).toEqual([201, '']);
  return answer.body;
}

const pricesOf = async (product: string) =>
  (await stripe.stripe.prices.list({ product, limit: 100 })).data.map(
    ({ id, active, unit_amount_decimal: amount, recurring, lookup_key: key }) => ({
      id,
      active,
      amount: String(amount),
      interval: recurring?.interval,
      usage: recurring?.usage_type,
      meter: recurring?.meter,
      key,
    }),
  );

describe('a plan at Stripe', () => {
  it('is a product with a price for each cycle, and a meter with prices for each metered limit', async () => {
    const plan = await makePlan({ price_yearly: 49_000, ...METERED });
    expect(plan).toMatchObject({ stripe_product_id: `plan_${plan.plan_id}`, synced_at: expect.any(String) });
    expect(await read(plan.plan_id)).toEqual(plan);
    const product = await stripe.stripe.products.retrieve(plan.stripe_product_id);
    expect(product).toMatchObject({ name: 'Made', active: true, metadata: { plan_id: plan.plan_id } });
    const { api_calls: meter, ...others } = plan.stripe_meters;
    expect([others, meter.event_name]).toEqual([{}, meterEventName('api_calls')]);
    expect((await stripe.stripe.billing.meters.retrieve(meter.meter_id)).event_name).toBe(meter.event_name);
    const found = await pricesOf(product.id);
    expect(found.map(({ key: _key, ...price }) => price)).toEqual(
      expect.arrayContaining([
        priceLike(plan.stripe_price_id, '4900', 'month'),
        priceLike(plan.stripe_price_id_yearly, '49000', 'year'),
        priceLike(meter.prices.monthly, '0.5', 'month', meter.meter_id),
        priceLike(meter.prices.yearly, '0.5', 'year', meter.meter_id),
      ]),
    );
    expect(found).toHaveLength(4);
  });

  const priceLike = (id: string, amount: string, interval: string, meter: string | null = null) => ({
    id,
    active: true,
    amount,
    interval,
    usage: meter === null ? 'licensed' : 'metered',
    meter,
  });

  it('shares its meters with other plans', async () => {
    const [first, second] = [await makePlan(METERED), await makePlan(METERED)];
    expect(second.stripe_meters.api_calls.meter_id).toBe(first.stripe_meters.api_calls.meter_id);
    const { data } = await stripe.stripe.billing.meters.list({ limit: 100 });
    expect(data.filter(({ event_name: name }) => name === meterEventName('api_calls'))).toHaveLength(1);
  });

  it('has nothing there if it is free', async () => {
    const plan = await makePlan({ plan_type: 'free', price_monthly: 0 });
    expect(plan).toMatchObject({
      stripe_product_id: null,
      stripe_price_id: null,
      synced_at: expect.any(String),
    });
    await expect(stripe.stripe.products.retrieve(`plan_${plan.plan_id}`)).rejects.toMatchObject({
      code: 'resource_missing',
    });
  });

  it('has no price for a cycle in which it is not sold', async () => {
    const plan = await makePlan();
    expect([typeof plan.stripe_price_id, plan.stripe_price_id_yearly]).toEqual(['string', null]);
  });

  it('gets a new price for a new amount; the former is archived, and still leads to the plan', async () => {
    const plan = await makePlan(METERED);
    const id = plan.plan_id;
    const dearer = (await put(id, { price_monthly: 5900, ...METERED })).body;
    expect(dearer.stripe_price_id).not.toBe(plan.stripe_price_id);
    const prices = await pricesOf(plan.stripe_product_id);
    expect(prices.find((price) => price.id === plan.stripe_price_id)).toMatchObject({
      active: false,
      amount: '4900',
    });
    expect(prices.find((price) => price.id === dearer.stripe_price_id)).toMatchObject({ active: true });
    for (const price of [plan.stripe_price_id, dearer.stripe_price_id])
      expect(await planOfPrice(billing, price)).toEqual({
        planId: id,
        kind: 'base',
        billingCycle: 'monthly',
        usageType: null,
      });
    expect(await planOfPrice(billing, plan.stripe_meters.api_calls.prices.monthly)).toEqual({
      planId: id,
      kind: 'overage',
      billingCycle: 'monthly',
      usageType: 'api_calls',
    });
    expect(await planOfPrice(billing, 'price_of_nobody')).toBeUndefined();
  });

  it('takes an earlier price again, instead of another one of the same amount', async () => {
    const plan = await makePlan();
    await put(plan.plan_id, { price_monthly: 5900 });
    const back = (await put(plan.plan_id)).body;
    expect(back.stripe_price_id).toBe(plan.stripe_price_id);
    const prices = await pricesOf(plan.stripe_product_id);
    expect(prices.map(({ amount, active }) => [amount, active]).sort()).toEqual([
      ['4900', true],
      ['5900', false],
    ]);
  });

  it('keeps its price when something else is replaced, and its new name is the product’s', async () => {
    const plan = await makePlan();
    const renamed = (await put(plan.plan_id, { plan_name: 'Renamed', trial_days: 14 })).body;
    expect([renamed.stripe_price_id, renamed.trial_days]).toEqual([plan.stripe_price_id, 14]);
    expect((await stripe.stripe.products.retrieve(plan.stripe_product_id)).name).toBe('Renamed');
    expect(await pricesOf(plan.stripe_product_id)).toHaveLength(1);
  });

  it('is not sold there after it is deactivated, and again when it is active again', async () => {
    const plan = await makePlan();
    const { status } = await app.request('DELETE', `${PLANS}/${plan.plan_id}`, { key: operator });
    expect(status).toBe(204);
    expect((await stripe.stripe.products.retrieve(plan.stripe_product_id)).active).toBe(false);
    expect((await pricesOf(plan.stripe_product_id)).map(({ active }) => active)).toEqual([false]);
    expect(await read(plan.plan_id)).toMatchObject({ is_active: false, synced_at: expect.any(String) });
    expect((await put(plan.plan_id)).body.stripe_price_id).toBe(plan.stripe_price_id);
    expect((await pricesOf(plan.stripe_product_id)).map(({ active }) => active)).toEqual([true]);
  });

  it('of a subscription stays what it pays, when the plan’s price is replaced', async () => {
    const plan = await makePlan();
    const customer = await stripe.stripe.customers.create({ payment_method: 'pm_card_visa' });
    const methods = await stripe.stripe.paymentMethods.list({ customer: customer.id });
    const subscription = await stripe.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plan.stripe_price_id }],
      default_payment_method: methods.data[0]?.id ?? '',
    });
    await put(plan.plan_id, { price_monthly: 9900 });
    const after = await stripe.stripe.subscriptions.retrieve(subscription.id);
    expect([after.status, after.items.data[0]?.price.id]).toEqual(['active', plan.stripe_price_id]);
  });
});

describe('carrying a plan', () => {
  /** A client whose n-th request fails: it is not sent, or its answer is lost. */
  function brokenClient(nth: number, lost: 'request' | 'answer'): Stripe {
    let sent = 0;
    const fetcher: typeof fetch = async (input, init) => {
      sent += 1;
      if (sent === nth && lost === 'request') throw new TypeError('not sent');
      const answer = await fetch(input, init);
      if (sent >= nth && lost === 'answer') throw new TypeError('lost');
      return answer;
    };
    return stripe.connect({ httpClient: Stripe.createFetchHttpClient(fetcher) });
  }

  it.each(['request', 'answer'] as const)(
    'can be repeated after any %s was lost, and then has each thing once',
    async (lost) => {
      for (let nth = 1, isDone = false; !isDone; nth += 1) {
        const usage = `lost_${(made += 1)}`;
        const id = await insertPlan(usage);
        const first = await Promise.allSettled([carryPlan(billing, brokenClient(nth, lost), id, new Date())]);
        isDone = first[0].status === 'fulfilled';
        expect([nth, (await read(id)).synced_at === null]).toEqual([nth, !isDone]);
        if (isDone) expect(nth).toBeGreaterThan(7);
        await carry(app.services, 'plan', id);
        const plan = await read(id);
        expect(plan.synced_at).toEqual(expect.any(String));
        expect((await pricesOf(plan.stripe_product_id)).map(({ amount }) => amount).sort()).toEqual([
          '1',
          '4900',
        ]);
        expect(await metersOf(usage)).toHaveLength(1);
      }
    },
  );

  const metersOf = async (usage: string) =>
    (await stripe.stripe.billing.meters.list({ limit: 100 })).data.filter(
      ({ event_name: name }) => name === meterEventName(usage),
    );

  /** A plan that nothing has carried yet. */
  async function insertPlan(usage: string): Promise<string> {
    const id = nextId();
    const json = (value: object) => app.admin.billing.json(value as never);
    await app.admin
      .billing`insert into billing_plans (plan_id, plan_name, plan_type, price_monthly, limits, limit_policies)
      values (${id}, 'Inserted', 'paid', 4900, ${json({ [usage]: 1 })},
              ${json({ [usage]: { mode: 'metered', overage_unit_amount_decimal: '1' } })})`;
    return id;
  }

  it('by several processes at once makes each thing once', async () => {
    const usage = `raced_${(made += 1)}`;
    const plan = await makePlan({ price_yearly: 100 });
    const limits = { [usage]: 1 };
    const policies = { [usage]: { mode: 'metered', overage_unit_amount_decimal: '1' } };
    await app.admin
      .billing`update billing_plans set price_monthly = 7700, limits = ${app.admin.billing.json(limits)}, limit_policies = ${app.admin.billing.json(policies)}, synced_at = null, version = version + 1 where plan_id = ${plan.plan_id}`;
    await Promise.all(Array.from({ length: 4 }, () => carry(app.services, 'plan', plan.plan_id)));
    const prices = await pricesOf(plan.stripe_product_id);
    expect(prices.filter(({ active }) => active)).toHaveLength(4);
    expect(new Set(prices.map(({ key }) => key)).size).toBe(prices.length);
    const row = await read(plan.plan_id);
    expect([typeof row.synced_at, row.stripe_price_id === plan.stripe_price_id]).toEqual(['string', false]);
  });

  it('ends with what the last of several writes at once says', async () => {
    const plan = await makePlan();
    const answers = await Promise.all(
      [5100, 5200, 5300, 5400].map((price) => put(plan.plan_id, { price_monthly: price })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const row = await read(plan.plan_id);
    const active = (await pricesOf(plan.stripe_product_id)).filter((price) => price.active);
    expect(active).toEqual([
      expect.objectContaining({ id: row.stripe_price_id, amount: String(row.price_monthly) }),
    ]);
    expect(row.synced_at).toEqual(expect.any(String));
  });

  it('does not stop a write while Stripe is away: it says that Stripe lacks it, and the next write carries it', async () => {
    const plan = await makePlan();
    const held = await stripe.ask('POST', '/_stand-in/holds', {
      path: `/v1/products/${plan.stripe_product_id}`,
      point: 'before',
    });
    const { id } = (await held.json()) as { id: string };
    const writing = put(plan.plan_id, { price_monthly: 6100 });
    await stripe.ask('GET', `/_stand-in/holds/${id}`);
    // The write is done before Stripe is asked.
    expect(await read(plan.plan_id)).toMatchObject({ price_monthly: 6100, synced_at: null });
    await stripe.ask('POST', `/_stand-in/holds/${id}/release`, { how: 'cut' });
    const answer = await writing;
    expect([answer.status, answer.body.price_monthly, answer.body.synced_at]).toEqual([200, 6100, null]);
    expect(await read(plan.plan_id)).toMatchObject({ price_monthly: 6100, synced_at: null });
    const again = await put(plan.plan_id, { price_monthly: 6100 });
    expect(again.body.synced_at).toEqual(expect.any(String));
    expect((await pricesOf(plan.stripe_product_id)).filter(({ active }) => active)).toMatchObject([
      { amount: '6100' },
    ]);
  });

  it('works with another account: everything is made there, and what the first one had does not matter', async () => {
    const plan = await makePlan(METERED);
    await stripe.ask('POST', '/_stand-in/reset');
    const report = await carryAll(app.services);
    expect(report.failed).toEqual([]);
    expect(report.carried).toContain(`plan ${plan.plan_id}`);
    const row = await read(plan.plan_id);
    expect((await stripe.stripe.prices.retrieve(row.stripe_price_id)).active).toBe(true);
    expect((await pricesOf(row.stripe_product_id)).every(({ active }) => active)).toBe(true);
  });

  it('is one command for all plans and codes', async () => {
    const code = { code: 'COMMAND', discount_type: 'percentage', discount_value: 10 };
    await app.request('POST', '/api/v1/platform/billing/promotional-codes', { key: operator, body: code });
    await stripe.ask('POST', '/_stand-in/reset');
    for (let n = 0; n < 2; n++) {
      const { status, out } = await runCarry();
      expect([status, out]).toEqual([0, expect.stringContaining('carried plan starter')]);
      expect(out).toContain('carried code COMMAND');
    }
    const starter = await read('starter');
    expect((await pricesOf(starter.stripe_product_id)).map(({ amount }) => amount).sort()).toEqual(
      ['0.05', '0.05', '0.1', '0.1', '2900', '29000'].sort(),
    );
    expect((await stripe.stripe.promotionCodes.list({ code: 'COMMAND' })).data).toHaveLength(1);
  });
});

/** Runs the command with the app's settings. */
function runCarry(): Promise<{ status: number; out: string; err: string }> {
  const file = path.join(import.meta.dirname, '../tools/carry/main.ts');
  const env = Object.fromEntries(
    Object.entries(app.environment).concat([['PATH', process.env['PATH'] ?? '']]),
  );
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { env }, (error, out, err) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}

describe('GET /billing/plans', () => {
  const list = (headers = {}): Promise<TestAnswer> =>
    app.request('GET', '/api/v1/billing/plans', { headers });
  const find = async (id: string): Promise<TestAnswer['body']> =>
    (await list()).body.items.find((plan: { plan_id: string }) => plan.plan_id === id);

  it('shows anyone the plans that are sold, with decimals and how limits bind, and no id of Stripe', async () => {
    const answer = await list();
    expect(answer.status).toBe(200);
    const starter = answer.body.items.find((plan: { plan_id: string }) => plan.plan_id === 'starter');
    expect(starter).toMatchObject({
      plan_type: 'paid',
      currency: 'USD',
      price_monthly: '29.00',
      price_yearly: '290.00',
      trial_days: 0,
    });
    expect(starter.limits).toEqual(
      expect.arrayContaining([
        {
          usage_type: 'api_calls',
          limit: 50_000,
          mode: 'metered',
          overage_unit_amount_decimal: '0.05',
        },
        { usage_type: 'storage_gb', limit: 10, mode: 'soft', overage_unit_amount_decimal: null },
      ]),
    );
    const [free] = answer.body.items;
    expect([free.plan_id, free.price_monthly]).toEqual(['free', '0.00']);
    expect(free.limits.map(({ mode }: { mode: string }) => mode)).toEqual(Array(4).fill('hard'));
    expect(JSON.stringify(answer.body)).not.toMatch(/stripe|price_[A-Za-z0-9]{8}|prod_/);
  });

  it('is cached by its ETag, which changes with the plans', async () => {
    const first = await list();
    const etag = first.headers.get('etag') ?? '';
    expect(first.headers.get('cache-control')).toBe('public, max-age=60');
    const again = await list({ 'if-none-match': etag });
    expect([again.status, again.body, again.headers.get('etag')]).toEqual([304, '', etag]);
    const { plan_id: id } = await makePlan({ currency: 'JPY', price_monthly: 500 });
    const shown = await until(
      () => find(id),
      (plan) => plan !== undefined,
    );
    expect(shown).toMatchObject({ price_monthly: '500', price_yearly: null });
    expect((await list({ 'if-none-match': etag })).status).toBe(200);
    await app.request('DELETE', `${PLANS}/${id}`, { key: operator });
    await until(
      () => find(id),
      (plan) => plan === undefined,
    );
  });

  it('refuses parameters that it does not know', async () => {
    expect((await app.request('GET', '/api/v1/billing/plans?colour=red')).status).toBe(400);
  });
});

describe('a change of what a plan allows', () => {
  const subscribe = (tenant: string, plan: string, status = 'active') =>
    app.admin.billing`insert into user_subscriptions
      (tenant_id, subscription_id, plan_id, status, current_period_start, current_period_end)
      values (${tenant}, ${newId()}, ${plan}, ${status}, now(), now() + interval '1 month')`;
  const told = async (): Promise<string[]> => {
    const rows = await app.admin
      .billing`select c.tenant_id, e ->> 'type' as type, e -> 'data' ->> 'tenant_id' as named
        from outbox_copies c, jsonb_array_elements(c.events) e
       where e ->> 'type' = 'com.comply-ai.billing.changed.v1' order by 1`;
    await app.admin.billing`truncate outbox_copies`;
    for (const row of rows) expect(row['named']).toBe(row['tenant_id']);
    return rows.map((row) => String(row['tenant_id']));
  };

  it('is told of each tenant with a live subscription on it, and of no other', async () => {
    const [plan, other] = [await makePlan(METERED), await makePlan(METERED)];
    await subscribe('told-1', plan.plan_id);
    await subscribe('told-2', plan.plan_id, 'past_due');
    await subscribe('ended', plan.plan_id, 'canceled');
    await subscribe('elsewhere', other.plan_id);
    await told();
    const hard = { ...METERED, limit_policies: { api_calls: { mode: 'hard' } } };
    expect((await put(plan.plan_id, hard)).status).toBe(200);
    expect(await told()).toEqual(['told-1', 'told-2']);
    expect((await put(plan.plan_id, { ...hard, plan_type: 'enterprise' })).status).toBe(200);
    expect(await told()).toEqual(['told-1', 'told-2']);
    await put(plan.plan_id, { ...hard, plan_type: 'enterprise', plan_name: 'Renamed', price_monthly: 1 });
    expect(await told()).toEqual([]);
  });

  it('of the free plan is told of the tenants without a subscription', async () => {
    await app.admin
      .billing`insert into free_tier_usage (tenant_id, usage_type, usage_limit, anchor_date, last_reset_at, next_reset_at)
      select t, 'api_calls', 1, current_date, now(), now() + interval '1 month' from unnest(array['poor', 'told-1']) t`;
    await told();
    const free = { plan_type: 'free', price_monthly: 0, limits: { api_calls: 2000 } };
    expect((await put('free', { ...free, plan_name: 'Free' })).status).toBe(200);
    const tenants = await told();
    expect([tenants.includes('poor'), tenants.includes('told-1')]).toEqual([true, false]);
  });
});

describe('the operators’ plans', () => {
  it.each([
    ['/plan_type', { plan_type: 'free', price_monthly: 1 }],
    ['/limit_policies/api_calls', { limit_policies: { api_calls: { mode: 'soft' } } }],
    [
      '/limit_policies/api_calls',
      { limits: { api_calls: 1 }, limit_policies: { api_calls: { mode: 'metered' } } },
    ],
    [
      '/limit_policies/api_calls',
      {
        limits: { api_calls: 1 },
        limit_policies: { api_calls: { mode: 'soft', overage_unit_amount_decimal: '1' } },
      },
    ],
    [
      '/limit_policies/a~1b',
      {
        limits: { 'a/b': 1 },
        limit_policies: { 'a/b': { mode: 'metered', overage_unit_amount_decimal: '1' } },
      },
    ],
    [
      '/limit_policies/x/overage_unit_amount_decimal',
      { limits: { x: 1 }, limit_policies: { x: { mode: 'metered', overage_unit_amount_decimal: '-1' } } },
    ],
    ['/limit_policies/x/mode', { limits: { x: 1 }, limit_policies: { x: { mode: 'hardest' } } }],
    ['/allowances/0/reset_period', { allowances: [{ usage_type: 'x', reset_period: 'hourly', limit: 1 }] }],
    [
      '/allowances/1',
      {
        allowances: [
          { usage_type: 'x', reset_period: 'daily', limit: 1 },
          { usage_type: 'x', reset_period: 'daily', limit: 2 },
        ],
      },
    ],
    ['/price_monthly', { price_monthly: 0.5 }],
    ['/price_yearly', { price_yearly: -1 }],
    ['/currency', { currency: 'usd' }],
    ['/trial_days', { trial_days: 731 }],
    ['/stripe_price_id', { stripe_price_id: 'price_1' }],
  ])('are refused with a fault at %s: %j', async (pointer, body) => {
    const answer = await post(body);
    expect([answer.status, answer.body.errors?.map((fault: { pointer: string }) => fault.pointer)]).toEqual([
      400,
      expect.arrayContaining([pointer]),
    ]);
  });

  it('are not the business of tenants', async () => {
    for (const method of ['GET', 'POST'])
      expect([
        method,
        (await app.request(method, PLANS, { key: acme.owner, ...(method === 'GET' ? {} : { body: {} }) }))
          .status,
      ]).toEqual([method, 403]);
    expect((await app.request('GET', `${PLANS}/starter`, { key: acme.owner })).status).toBe(403);
  });
});
