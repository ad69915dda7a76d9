import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { tenantTables } from '../functions/tenant-tables.ts';
import { endAtStripe } from '../shared/domains/billing/account/end-at-stripe.ts';
import { stripeEventsExpire } from '../shared/domains/billing/events/expire-job.ts';
import { findMissedEvents } from '../shared/domains/billing/events/find-missed-events.ts';
import { stripeReconcile } from '../shared/domains/billing/events/reconcile-job.ts';
import {
  reconcilePosition,
  type ReconcilePosition,
} from '../shared/domains/billing/events/reconcile-position.ts';
import { syncObject } from '../shared/domains/billing/sync/sync-object.ts';
import { runErasures } from '../shared/domains/erasure/erasure-job.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { readPosition, writePosition } from '../shared/platform/jobs/watermarks.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../shared/platform/time/clock.ts';
import { until } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { beginLeaving, countRows } from './harness/leaving-tenant.ts';
import { giveCustomer, givePrice } from './harness/stripe-customers.ts';
import { startStripeProxy } from './harness/stripe-proxy.ts';
import { sendWebhook, stripeEvent, stripeId } from './harness/stripe-webhooks.ts';

// Stripe sends no webhooks: all that this app learns, it finds by itself.
const proxy = await startStripeProxy();
const scene = await startBillingApp({ webhooks: false, settings: { STRIPE_API_URL: proxy.url } });
const { app, stripe } = scene;
proxy.target = stripe.server.url;
const { billing } = app.admin;
const coreJobs = app.services.crossTenant.core;

const price = await givePrice(scene, 'starter');
const customers = { globex: await giveCustomer(scene, 'globex'), acme: await giveCustomer(scene, 'acme') };

const reconcile = (inMs = 0) =>
  runJob(app.services, stripeReconcile, { triggeredBy: 'test', asOf: new Date(Date.now() + inMs) });
const position = () => readPosition(coreJobs, 'stripe-reconcile', reconcilePosition);
const stand = (at: ReconcilePosition) => writePosition(coreJobs, 'stripe-reconcile', at);
const subscriptionOf = async (tenantId: string) =>
  (await billing`select * from user_subscriptions where tenant_id = ${tenantId}`)[0];
const nothingWaits = () =>
  until(
    () => billing`select from stripe_events where status = 'received'`,
    (rows) => rows.length === 0,
  );
const openMismatches = async (objectId: string) => {
  const { body } = await app.request('GET', `/api/v1/platform/billing/mismatches?object_id=${objectId}`, {
    key: app.keys.operator,
  });
  return z.array(z.looseObject({ kind: z.string() })).parse(body.items);
};

const globexs = await stripe.stripe.subscriptions.create({
  customer: customers.globex.id,
  items: [{ price: price.id }],
});

describe('a webhook that never came', () => {
  it('is found in Stripe’s list, once, and processed', async () => {
    expect(await reconcile()).toMatchObject({ status: 'completed' });
    await until(
      () => subscriptionOf('globex'),
      (row) => row?.['status'] === 'active',
    );
    await nothingWaits();
    const events = await billing`select * from stripe_events where object_id = ${globexs.id}`;
    expect(events.length).toBeGreaterThan(0);
    for (const event of events)
      expect(event).toMatchObject({ found_by: 'reconcile', status: 'processed', tenant_id: 'globex' });
    const { n } = (await billing`select count(*)::int as n from stripe_events`)[0] ?? {};
    const again = await reconcile(6 * MINUTE_MS);
    expect(again.details).toMatchObject({ events_missed: 0 });
    expect((await billing`select count(*)::int as n from stripe_events`)[0]?.['n']).toBe(n);
  });

  it('is not stored again when it comes after all', async () => {
    const [event] = await billing`select payload from stripe_events where object_id = ${globexs.id} limit 1`;
    const answer = await sendWebhook(app, event?.['payload'] as object);
    expect([answer.status, answer.body.status]).toEqual([200, 'repeated']);
  });

  it('is looked for every five minutes, from shortly before the newest that is known', async () => {
    await stand({
      events_until: 1_000_000,
      listed_at: new Date().toISOString(),
      compared_at: new Date().toISOString(),
    });
    proxy.requests.length = 0;
    await reconcile(4 * MINUTE_MS);
    expect(proxy.requests).toEqual([]);
    await reconcile(5 * MINUTE_MS);
    expect(proxy.requests).toEqual(['GET /v1/events']);
    // A run as of a future day does not stop those of today.
    await stand({ ...(await position()), listed_at: new Date(Date.now() + DAY_MS).toISOString() });
    await reconcile();
    expect(proxy.requests).toHaveLength(2);
  });

  it('is found by the next run if Stripe is away: the watermark stays', async () => {
    const [newest] = (await stripe.stripe.events.list({ limit: 1 })).data;
    const created = newest?.created ?? 0;
    await stand({ events_until: created, compared_at: new Date().toISOString() });
    const before = await position();
    const invoice = await stripe.stripe.invoices.create({ customer: customers.globex.id });
    for (const mode of ['refuse', 500, 429] as const) {
      proxy.mode = mode;
      const run = await reconcile(6 * MINUTE_MS);
      expect([run.status, run.details['stripe_unavailable']]).toEqual(['partial', true]);
      expect(await position()).toEqual(before);
    }
    proxy.mode = 'pass';
    expect(await reconcile(6 * MINUTE_MS)).toMatchObject({ status: 'completed' });
    expect(await billing`select from stripe_events where object_id = ${invoice.id}`).not.toHaveLength(0);
    expect((await position())?.events_until).toBeGreaterThanOrEqual(created);
  });

  it('is found wherever a run dies among many pages', async () => {
    // Their events are stored, and nothing more: this is about the pages.
    const made = await Promise.all(
      Array.from({ length: 230 }, (_none, n) => stripe.stripe.products.create({ name: `n${n}` })),
    );
    const ids = made.map(({ id }) => id);
    const start = { events_until: Math.floor(Date.now() / 1000) - 60 };
    let at: ReconcilePosition = start;
    let pages = 0;
    // Each run ends after one page. What it saved is all that the next one knows.
    while (pages === 0 || at.listing !== undefined) {
      let saved: ReconcilePosition = at;
      const run = {
        services: app.services,
        now: new Date(),
        progress: { examined: 0, details: {} },
        savePosition: (value: ReconcilePosition) => {
          saved = value;
          return Promise.resolve();
        },
      };
      let left = 1;
      await findMissedEvents(run as never, stripe.stripe, at, () => left-- > 0);
      at = reconcilePosition.parse(saved);
      pages += 1;
      if (at.listing !== undefined) expect(at.events_until).toBe(start.events_until);
    }
    expect(pages).toBeGreaterThan(2);
    expect(at.events_until).toBeGreaterThan(start.events_until);
    const rows = await billing`select distinct object_id from stripe_events where object_id = any(${ids})`;
    expect(rows).toHaveLength(230);
  });
});

/** Everything is listed, and it is time to compare. */
const compareNow = async (inMs: number) => {
  await nothingWaits();
  const now = new Date(Date.now() + inMs).toISOString();
  const far = Math.floor(Date.now() / 1000) + 3600;
  await stand({
    events_until: far,
    listed_at: now,
    compared_at: new Date(Date.now() + inMs - DAY_MS).toISOString(),
  });
  return reconcile(inMs);
};

describe('a difference that no event told of', () => {
  it('in a live subscription’s row is mended and listed, until no difference is found', async () => {
    await billing`update user_subscriptions set status = 'paused', stripe_status = 'paused', plan_id = 'professional'
      where tenant_id = 'globex'`;
    const run = await compareNow(DAY_MS);
    expect(run).toMatchObject({ status: 'completed' });
    expect(run.details['objects_mended']).toBe(1);
    expect(await subscriptionOf('globex')).toMatchObject({ status: 'active', plan_id: 'starter' });
    expect(await openMismatches(globexs.id)).toMatchObject([
      {
        kind: 'mended',
        object_type: 'subscription',
        tenant_id: 'globex',
        details: { found_by: 'reconcile' },
      },
    ]);
    const next = await compareNow(2 * DAY_MS);
    expect(next.details['objects_mended']).toBeUndefined();
    expect(await openMismatches(globexs.id)).toEqual([]);
  });

  it('in an open invoice’s row is mended', async () => {
    const { id } = await stripe.stripe.invoices.create({
      customer: customers.globex.id,
      auto_advance: false,
    });
    await stripe.stripe.invoiceItems.create({
      customer: customers.globex.id,
      invoice: id,
      amount: 700,
      currency: 'usd',
    });
    await stripe.stripe.invoices.finalizeInvoice(id, { auto_advance: false });
    await stand({ compared_at: new Date().toISOString() });
    await reconcile();
    const rowOf = async () =>
      (await billing`select status, amount_due from billing_invoices where stripe_invoice_id = ${id}`)[0];
    const right = await until(rowOf, (row) => row?.['status'] === 'open');
    await billing`update billing_invoices set amount_due = 1 where stripe_invoice_id = ${id}`;
    await compareNow(DAY_MS);
    expect(await rowOf()).toEqual(right);
    expect(await openMismatches(id)).toMatchObject([{ kind: 'mended', object_type: 'invoice' }]);
  });

  it('such as a subscription whose events are older than Stripe lists is found at Stripe', async () => {
    const acmes = await stripe.stripe.subscriptions.create({
      customer: customers.acme.id,
      items: [{ price: price.id }],
    });
    expect(await subscriptionOf('acme')).toBeUndefined();
    await compareNow(DAY_MS);
    expect(await subscriptionOf('acme')).toMatchObject({
      status: 'active',
      stripe_subscription_id: acmes.id,
    });
    expect(await openMismatches(acmes.id)).toMatchObject([{ kind: 'mended', tenant_id: 'acme' }]);
  });

  it('is looked for once a day, and not where an event waits that mends it', async () => {
    const event = stripeEvent('customer.subscription.updated', { id: globexs.id, object: 'subscription' });
    await nothingWaits();
    const now = new Date();
    await stand({
      events_until: Math.floor(now.getTime() / 1000),
      listed_at: now.toISOString(),
      compared_at: now.toISOString(),
    });
    proxy.requests.length = 0;
    await reconcile(MINUTE_MS);
    expect(proxy.requests).toEqual([]);
    proxy.mode = 429;
    await sendWebhook(app, event);
    await until(
      () => billing`select attempts, next_attempt_at from stripe_events where event_id = ${event.id}`,
      ([row]) => row?.['attempts'] === 1,
    );
    proxy.mode = 'pass';
    await billing`update stripe_events set next_attempt_at = ${new Date(now.getTime() + 3 * DAY_MS)}
      where event_id = ${event.id}`;
    await stand({
      listed_at: new Date(now.getTime() + DAY_MS).toISOString(),
      compared_at: now.toISOString(),
    });
    proxy.requests.length = 0;
    await reconcile(DAY_MS + 1000);
    expect(proxy.requests).not.toContain(`GET /v1/subscriptions/${globexs.id}`);
    expect(proxy.requests).toContain('GET /v1/subscriptions');
    await reconcile(4 * DAY_MS);
    await nothingWaits();
  });

  it('does not stop the comparison at an object that Stripe cannot give', async () => {
    const acme = await subscriptionOf('acme');
    await billing`update user_subscriptions set stripe_status = 'x' where tenant_id in ('acme', 'globex')`;
    proxy.broken = `subscriptions/${String(acme?.['stripe_subscription_id'])}`;
    const run = await compareNow(DAY_MS);
    proxy.broken = undefined;
    expect(run).toMatchObject({ status: 'completed', details: { objects_skipped: 1, objects_mended: 1 } });
    expect((await position())?.comparing).toBeUndefined();
    expect(await subscriptionOf('globex')).toMatchObject({ stripe_status: 'active' });
  });

  it('is looked for again from the same page if Stripe goes away meanwhile', async () => {
    await nothingWaits();
    const at = {
      listed_at: new Date().toISOString(),
      comparing: { phase: 'subscriptions_there', after: '' },
    } as const;
    await stand(at);
    proxy.mode = 'refuse';
    expect(await reconcile(MINUTE_MS)).toMatchObject({ status: 'partial' });
    expect(await position()).toEqual(at);
    proxy.mode = 'pass';
    expect(await reconcile(MINUTE_MS)).toMatchObject({ status: 'completed' });
    expect((await position())?.comparing).toBeUndefined();
  });
});

describe('without a key of Stripe', () => {
  it('the job does nothing, and does not fail', async () => {
    const { STRIPE_SECRET_KEY: _key, ...settings } = app.settings;
    const services = { ...app.services, settings: settings as typeof app.settings };
    const run = await runJob(services, stripeReconcile, { triggeredBy: 'test' });
    expect(run).toMatchObject({ status: 'completed', details: { configured: false } });
  });
});

describe('stored events', () => {
  it('lose their payload after 90 days and are deleted after 400', async () => {
    const now = Date.now();
    const age = (days: number) => new Date(now - days * DAY_MS - HOUR_MS);
    const rows = [0, 89, 90, 399, 400, 500].map((days) => ({ days, id: stripeId('evt') }));
    for (const { days, id } of rows)
      await billing`insert into stripe_events (event_id, type, created, payload, status, received_at)
        values (${id}, 'invoice.paid', ${age(days)}, '{"a": 1}', 'processed', ${age(days)})`;
    const run = await runJob(app.services, stripeEventsExpire, { triggeredBy: 'test', asOf: new Date(now) });
    expect(run).toMatchObject({ status: 'completed', deleted: 2, details: { payloads_forgotten: 2 } });
    const kept = await billing`select event_id, payload from stripe_events
      where event_id = any(${rows.map(({ id }) => id)}) order by received_at desc`;
    expect(kept.map(({ payload }) => payload as unknown)).toEqual([{ a: 1 }, { a: 1 }, null, null]);
    const again = await runJob(app.services, stripeEventsExpire, {
      triggeredBy: 'test',
      asOf: new Date(now),
    });
    expect(again).toMatchObject({ deleted: 0, examined: 0 });
  });
});

describe('an erased tenant', async () => {
  const tenant = 'leaver';
  await app.admin.core`insert into tenants (tenant_id, name) values (${tenant}, 'Leaver')`;
  const customer = await giveCustomer(scene, tenant);
  const subscription = await stripe.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
  });
  const { latest_invoice: latest } = subscription;
  const invoiceId = typeof latest === 'string' ? latest : (latest?.id ?? '');
  const sync = (type: string, id: string) => syncObject(app.services, { type, id }, new Date());
  await sync('subscription', subscription.id);
  await sync('invoice', invoiceId);
  const [method] = await billing`select * from payment_methods where tenant_id = ${tenant}`;
  const [payment] = await billing`select * from billing_payments where tenant_id = ${tenant}`;
  const intentId = String(payment?.['stripe_payment_intent_id']);

  const erase = (inMs: number) =>
    runErasures({
      services: app.services,
      tables: tenantTables,
      now: new Date(Date.now() + inMs),
      hasTime: () => true,
    });
  const erasure = async () =>
    (await app.request('GET', `/api/v1/platform/tenants/${tenant}/erasure`, { key: app.keys.operator })).body;
  const rows = async () => ({
    counts: await countRows(app, tenant),
    invoices:
      await billing`select user_id, hosted_invoice_url, invoice_pdf, total, status from billing_invoices
      where tenant_id = ${tenant}`,
    payments: await billing`select user_id, card_brand, card_last_four, amount, status from billing_payments
      where tenant_id = ${tenant}`,
    outbox: await billing`select events from ops.outbox where tenant_id = ${tenant}`,
    audit: await app.admin.core`select action from audit_logs where tenant_id = ${tenant}`,
    mismatches: await billing`select kind from ops.stripe_mismatches where tenant_id = ${tenant}`,
  });
  const objects = [
    ['subscription', subscription.id],
    ['customer', customer.id],
    ['invoice', invoiceId],
    ['payment_intent', intentId],
    ['payment_method', String(method?.['stripe_payment_method_id'])],
  ] as const;

  const mismatchesOf = (id: string) =>
    billing`select kind, tenant_id, details, resolved_at is null as open from ops.stripe_mismatches where object_id = ${id}`;
  const eventOf = (type: string, id: string, members: object = {}) =>
    stripeEvent(type, { id, customer: customer.id, email: 'ada@leaver.example', ...members });

  it('is billed no more: the erasure waits for Stripe, and cancels there what is live', async () => {
    const checkout = await stripe.stripe.checkout.sessions.create({
      mode: 'subscription',
      customer: customer.id,
      line_items: [{ price: price.id, quantity: 1 }],
      success_url: 'https://app.globex.example/',
    });
    await beginLeaving(app, tenant, true);
    proxy.mode = 'refuse';
    await expect(erase(0)).rejects.toThrow('Stripe does not answer');
    proxy.mode = 'pass';
    expect(await erasure()).toMatchObject({
      step: 'stripe',
      error: expect.stringContaining('Stripe does not answer') as string,
      at_stripe: [{ stripe_customer_id: customer.id, live_subscriptions: [subscription.id] }],
    });
    await erase(0);
    const after = await erasure();
    expect(after).toMatchObject({
      step: 'settle',
      error: null,
      at_stripe: [{ stripe_customer_id: customer.id, live_subscriptions: [] }],
    });
    expect(after.steps).toContainEqual(
      expect.objectContaining({
        step: 'stripe',
        details: { subscriptions_cancelled: 1, checkouts_ended: 1, subscriptions_left: 0 },
      }),
    );
    expect(await stripe.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: 'canceled' });
    expect(await stripe.stripe.checkout.sessions.retrieve(checkout.id)).toMatchObject({ status: 'expired' });
  });

  it('keeps its invoices and payments, with no card and no page of Stripe any more', async () => {
    expect(payment).toMatchObject({ card_brand: 'visa', card_last_four: '4242' });
    const [had] = await billing`select hosted_invoice_url from billing_invoices where tenant_id = ${tenant}`;
    expect(had).toMatchObject({ hosted_invoice_url: expect.any(String) as string });
    // While its rows are still there.
    const before = await rows();
    expect(before.counts['billing user_subscriptions']).toBe(1);
    for (const [type, id] of objects) await sync(type, id);
    expect((await rows()).counts).toEqual(before.counts);
    await erase(3 * MINUTE_MS);
    expect(await erasure()).toMatchObject({ status: 'completed' });
    const { counts, invoices, payments } = await rows();
    for (const { database, table, onErasure } of tenantTables)
      if (database === 'billing' && onErasure === 'delete')
        expect([table, counts[`billing ${table}`]]).toEqual([table, 0]);
    expect(invoices).toEqual([
      { user_id: '', hosted_invoice_url: null, invoice_pdf: null, total: '2900', status: 'paid' },
    ]);
    expect(payments).toMatchObject([{ user_id: '', card_brand: null, card_last_four: null, amount: '2900' }]);
  });

  it('gets nothing back by late events, in any order, twice at once, or replayed', async () => {
    const before = await rows();
    const events = objects
      .toReversed()
      .map(([type, id]) =>
        eventOf(`${type === 'subscription' ? 'customer.subscription' : type}.updated`, id, { object: type }),
      );
    const detached = stripeEvent(
      'payment_method.detached',
      { id: stripeId('pm'), object: 'payment_method', customer: null },
      {
        data: {
          object: { id: stripeId('pm'), object: 'payment_method' },
          previous_attributes: { customer: customer.id },
        },
      },
    );
    const ids = [...events, detached].map(({ id }) => id);
    await Promise.all([...events, ...events, detached].map((event) => sendWebhook(app, event)));
    const settled = async () => {
      await until(
        () => billing`select from stripe_events where event_id = any(${ids}) and status <> 'received'`,
        (found) => found.length === ids.length,
      );
      return billing`select distinct status, tenant_id, payload, error from stripe_events where event_id = any(${ids})`;
    };
    const processed = [{ status: 'processed', tenant_id: null, payload: null, error: null }];
    expect(await settled()).toEqual(processed);
    expect(await rows()).toEqual(before);
    const path = `/api/v1/platform/billing/events/${String(ids[0])}/replay`;
    expect((await app.request('POST', path, { key: app.keys.operator })).status).toBe(202);
    expect(await settled()).toEqual(processed);
    expect(await rows()).toEqual(before);
  });

  it('gets nothing back by an event that is processed while the erasure marks it, nor while core is away', async () => {
    const before = await rows();
    const away = { ...app.services, tenants: { find: () => Promise.reject(new Error('away')) } as never };
    await billing`update ops.stripe_customers set is_erased = false where tenant_id = ${tenant}`;
    const syncs = await billing.begin(async (transaction) => {
      await transaction`update ops.stripe_customers set is_erased = true where tenant_id = ${tenant}`;
      const running = objects.map(([type, id]) => syncObject(away, { type, id }, new Date()));
      await until(
        () =>
          billing`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%ops.stripe_customers%'`,
        (waiting) => waiting.length > 0,
      );
      return { running };
    });
    const results = await Promise.all(syncs.running);
    for (const result of results) expect(result).toMatchObject({ tenantId: undefined, isErased: true });
    expect(await rows()).toEqual(before);
  });

  it('has the invoices that Stripe makes later, without a person, and no mismatch that names it', async () => {
    const { id } = await stripe.stripe.invoices.create({ customer: customer.id, auto_advance: false });
    await stripe.stripe.invoiceItems.create({
      customer: customer.id,
      invoice: id,
      amount: 700,
      currency: 'usd',
    });
    await stripe.stripe.invoices.finalizeInvoice(id, { auto_advance: false });
    await compareNow(DAY_MS);
    const written = async () =>
      billing`select user_id, hosted_invoice_url, amount_due, status from billing_invoices where stripe_invoice_id = ${id}`;
    const kept = [{ user_id: '', hosted_invoice_url: null, amount_due: '700', status: 'open' }];
    expect(await written()).toEqual(kept);
    expect(await mismatchesOf(id)).toMatchObject([{ kind: 'mended', tenant_id: null, open: true }]);
    // It is as it should be, although Stripe says more.
    await compareNow(2 * DAY_MS);
    expect(await mismatchesOf(id)).toMatchObject([{ kind: 'mended', open: false }]);
    expect(await written()).toEqual(kept);
    // When the law does not want it any more, it does not come back.
    await billing`delete from billing_invoices where stripe_invoice_id = ${id}`;
    const later = new Date(Date.now() + 11 * 366 * DAY_MS);
    await syncObject(app.services, { type: 'invoice', id }, later);
    expect(await written()).toEqual([]);
  });

  it('shows what an operator still has to end at Stripe, until it is done there', async () => {
    const { id } = await stripe.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    expect(await sync('subscription', id)).toMatchObject({ outcome: 'mismatch', tenantId: undefined });
    expect(await mismatchesOf(id)).toEqual([
      { kind: 'subscription_of_erased', tenant_id: null, details: { customer: customer.id }, open: true },
    ]);
    const left = async () => (await erasure()).at_stripe as unknown;
    expect(await left()).toEqual([{ stripe_customer_id: customer.id, live_subscriptions: [id] }]);
    // Without a key it stays, and the erasure goes on. With one it ends, once.
    const { STRIPE_SECRET_KEY: _key, ...settings } = app.settings;
    const keyless = { ...app.services, settings: settings as typeof app.settings };
    const ended = { subscriptions_cancelled: 0, checkouts_ended: 0, subscriptions_left: 0 };
    expect(await endAtStripe(keyless, tenant, new Date())).toEqual({ ...ended, subscriptions_left: 1 });
    expect(await endAtStripe(app.services, tenant, new Date())).toEqual({
      ...ended,
      subscriptions_cancelled: 1,
    });
    expect(await endAtStripe(app.services, tenant, new Date())).toEqual(ended);
    await sync('subscription', id);
    expect(await left()).toEqual([{ stripe_customer_id: customer.id, live_subscriptions: [] }]);
    await stripe.stripe.customers.del(customer.id);
    expect(await sync('customer', customer.id)).toEqual({
      outcome: 'gone',
      tenantId: undefined,
      isErased: true,
      mismatches: [],
    });
    expect(await left()).toEqual([]);
  });

  it('is named with a customer that nobody knew of, and gets nothing of it', async () => {
    await billing`delete from ops.stripe_customers where tenant_id = ${tenant}`;
    const lost = await stripe.stripe.customers.create({
      metadata: { tenant_id: tenant },
      payment_method: 'pm_card_visa',
    });
    expect(await sync('customer', lost.id)).toMatchObject({ outcome: 'unchanged', isErased: true });
    expect((await erasure()).at_stripe).toEqual([{ stripe_customer_id: lost.id, live_subscriptions: [] }]);
    expect((await rows()).counts['billing payment_methods']).toBe(0);
  });
});
