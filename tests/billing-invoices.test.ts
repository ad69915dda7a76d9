import { describe, expect, it } from 'vitest';
import { createClocked, DAY, advance, itemOf } from '../dev/stripe/test-billing.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import type { TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import {
  addTenant,
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

const get = (tenant: BillingTenant, path: string): Promise<TestAnswer> => tenant.ask('GET', path);
const items = async (tenant: BillingTenant, path: string) => (await get(tenant, path)).body.items;

/** A tenant that has paid five months of starter, and then changes to professional and back, which leaves a credit. */
async function addPayer(id: string): Promise<BillingTenant> {
  const tenant = await addTenant(app, id);
  const { clock, customer } = await createClocked(billing.stripe);
  await app.admin.billing`insert into ops.stripe_customers (tenant_id, stripe_customer_id)
    values (${id}, ${customer.id})`;
  const price = prices.starter.monthly;
  const { id: subscription } = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price }],
  });
  for (let month = 0; month < 4; month += 1) {
    const { current_period_end: end } = itemOf(await stripe.subscriptions.retrieve(subscription));
    await advance(billing.stripe, clock, end + DAY);
  }
  await takeIn(billing, tenant);
  for (const plan of ['professional', 'starter'])
    await tenant.ask('POST', 'subscription/change', { plan_id: plan, billing_cycle: 'monthly' });
  await takeIn(billing, tenant);
  return tenant;
}

const payer = await addPayer('payer');
const other = await addTenant(app, 'other');
await subscribe(billing, other);

describe('GET /billing/invoices', () => {
  it('lists the tenant’s invoices page by page, the newest first, with decimal amounts', async () => {
    const all = await items(payer, 'invoices');
    expect(all).toHaveLength(7);
    const seen: string[] = [];
    let path: string | undefined = '/api/v1/billing/invoices?limit=3';
    while (path !== undefined) {
      const page: TestAnswer = await app.request('GET', path, { key: payer.key });
      seen.push(...page.body.items.map((one: { invoice_id: string }) => one.invoice_id));
      path = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual(all.map((one: { invoice_id: string }) => one.invoice_id));
    const times = all.map((one: { created_at: string }) => Date.parse(one.created_at));
    expect(times).toEqual(times.toSorted((one: number, two: number) => two - one));
    expect(all.at(-1)).toMatchObject({
      status: 'paid',
      currency: 'USD',
      subtotal: '29.00',
      discount: '0.00',
      tax: '0.00',
      total: '29.00',
      amount_due: '29.00',
      amount_paid: '29.00',
      amount_remaining: '0.00',
    });
  });

  it('can show those of one status, and a cursor is valid for its own filter only', async () => {
    expect(await items(payer, 'invoices?status=paid')).toHaveLength(7);
    expect(await items(payer, 'invoices?status=open')).toEqual([]);
    expect((await get(payer, 'invoices?status=lost')).status).toBe(400);
    expect((await get(payer, 'invoices?state=paid')).status).toBe(400);
    const page = await get(payer, 'invoices?status=paid&limit=2');
    const cursor = /cursor=([^&>]+)/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    expect((await get(payer, `invoices?status=open&cursor=${cursor}`)).status).toBe(400);
    expect((await get(other, `invoices?status=paid&cursor=${cursor}`)).status).toBe(400);
  });

  it('shows no other tenant’s, and one of another tenant is 404, in any spelling', async () => {
    const [mine] = await items(payer, 'invoices');
    const [theirs] = await items(other, 'invoices');
    expect(await items(other, 'invoices')).toHaveLength(1);
    for (const id of [theirs.invoice_id, theirs.invoice_id.toUpperCase(), newId()]) {
      const refused = await get(payer, `invoices/${id}`);
      expect([refused.status, refused.body.code]).toEqual([404, 'NOT_FOUND']);
    }
    expect((await get(payer, `invoices/${mine.invoice_id.toUpperCase()}`)).body.invoice_id).toBe(
      mine.invoice_id,
    );
    expect((await get(payer, 'invoices/in_123')).status).toBe(400);
  });
});

describe('GET /billing/invoices/{invoice_id}', () => {
  it('has the lines, also a credit, and they make the subtotal', async () => {
    // Both are of the same second.
    const changes = (await items(payer, 'invoices')).slice(0, 2);
    const [credited, charged] = changes.toSorted(
      (one: { total: string }, two: { total: string }) => Number(one.total) - Number(two.total),
    );
    for (const { invoice_id: id } of [credited, charged]) {
      const { body } = await get(payer, `invoices/${id}`);
      const cents = (text: string): number => Math.round(Number(text) * 100);
      const sum = body.line_items.reduce(
        (all: number, { amount }: { amount: string }) => all + cents(amount),
        0,
      );
      expect(sum).toBe(cents(body.subtotal));
      expect(body.line_items.map((line: { is_proration: boolean }) => line.is_proration)).toEqual([
        true,
        true,
      ]);
    }
    expect(Number(charged.total)).toBeGreaterThan(0);
    expect(credited.total).toBe(`-${charged.total}`);
    expect(credited).toMatchObject({ amount_due: '0.00', amount_remaining: '0.00', status: 'paid' });
  });

  it('of a currency without decimals has none', async () => {
    const tenant = await addTenant(app, 'tokyo');
    const id = newId();
    const row = {
      tenant_id: tenant.id,
      invoice_id: id,
      status: 'open',
      currency: 'JPY',
      subtotal: 2900,
      total: 2900,
      amount_due: 2900,
      amount_paid: 0,
      amount_remaining: 2900,
      line_items: app.admin.billing.json([
        {
          description: 'Starter',
          amount: 2900,
          quantity: 1,
          proration: false,
          period_start: null,
          period_end: null,
        },
      ]),
      stripe_invoice_id: 'in_tokyo',
      synced_at: new Date(),
      created_at: new Date(),
    };
    await app.admin.billing`insert into billing_invoices ${app.admin.billing(row as never)}`;
    const { body } = await get(tenant, `invoices/${id}`);
    expect([body.total, body.line_items[0].amount]).toEqual(['2900', '2900']);
  });
});

describe('GET /billing/payments', () => {
  it('lists those that succeeded, failed and were refunded, by invoice as well', async () => {
    const tenant = await addTenant(app, 'refunded');
    await subscribe(billing, tenant);
    const customer = await customerOf(billing, tenant);
    const [intent] = (await stripe.paymentIntents.list({ customer })).data;
    await stripe.refunds.create({ payment_intent: intent?.id ?? '', amount: 900 });
    await takeIn(billing, tenant);
    const [payment] = await items(tenant, 'payments');
    expect(payment).toMatchObject({
      amount: '29.00',
      refunded_amount: '9.00',
      currency: 'USD',
      status: 'partially_refunded',
      card_brand: 'visa',
      card_last_four: '4242',
    });
    expect(await items(tenant, `payments?invoice_id=${payment.invoice_id.toUpperCase()}`)).toEqual([payment]);
    expect(await items(tenant, 'payments?status=failed')).toEqual([]);
    // The invoice of another tenant has no payments here.
    expect(await items(payer, `payments?invoice_id=${payment.invoice_id}`)).toEqual([]);
    expect((await get(tenant, 'payments?invoice_id=in_1')).status).toBe(400);
  });
});

describe('GET /billing/payment-methods', () => {
  it('lists cards by their last four digits, and those that were removed', async () => {
    const tenant = await addTenant(app, 'cards');
    await subscribe(billing, tenant);
    const customer = await customerOf(billing, tenant);
    const second = await stripe.paymentMethods.attach('pm_card_mastercard', { customer });
    await takeIn(billing, tenant);
    const all = await items(tenant, 'payment-methods');
    expect(all).toHaveLength(2);
    expect(JSON.stringify(all)).not.toMatch(/\d{12,}/);
    const brands = all.map((one: { card_brand: string }) => one.card_brand).sort();
    expect(brands).toEqual(['mastercard', 'visa']);
    await stripe.paymentMethods.detach(second.id);
    await takeIn(billing, tenant);
    expect(await items(tenant, 'payment-methods?is_active=true')).toHaveLength(1);
    expect(await items(tenant, 'payment-methods?is_active=false')).toMatchObject([
      { card_brand: 'mastercard', is_default: false },
    ]);
    expect(await items(payer, 'payment-methods?is_active=true')).toHaveLength(1);
  });
});

describe('GET /billing/upcoming-invoice', () => {
  it('is what the next renewal will bill', async () => {
    const { body, status } = await get(payer, 'upcoming-invoice');
    expect(status).toBe(200);
    expect(body).toMatchObject({ currency: 'USD', subtotal: '29.00', total: '29.00' });
    // The credit of the change pays a part of it.
    expect(Number(body.amount_due)).toBeLessThan(29);
    expect(body.at).toBe((await get(payer, 'subscription')).body.current_period_end);
  });

  it('is 404 without a subscription, and with one that ends', async () => {
    expect((await get(await addTenant(app, 'free'), 'upcoming-invoice')).status).toBe(404);
    const tenant = await addTenant(app, 'ending');
    await subscribe(billing, tenant);
    await tenant.ask('POST', 'subscription/cancel', { at: 'period_end' });
    expect((await get(tenant, 'upcoming-invoice')).status).toBe(404);
  });

  it('is 503 within two seconds when Stripe does not answer, and the invoices are there', async () => {
    const held = await hold(billing, '/v1/invoices/create_preview', 'before');
    const begun = Date.now();
    const refused = await get(payer, 'upcoming-invoice');
    expect(Date.now() - begun).toBeLessThan(2_000);
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);
    expect((await get(payer, 'invoices')).status).toBe(200);
    await held.release('cut');
  });
});

describe('what a tenant paid', () => {
  it('needs billing:read', async () => {
    const key = await app.makeKey(payer.id, ['usage:read']);
    for (const path of ['invoices', `invoices/${newId()}`, 'payments', 'payment-methods', 'upcoming-invoice'])
      expect((await app.request('GET', `/api/v1/billing/${path}`, { key })).status).toBe(403);
  });
});
