import { describe, expect, it } from 'vitest';
import { backoffMs, processEvents } from '../shared/domains/billing/events/process-events.ts';
import { stripeReconcile } from '../shared/domains/billing/events/reconcile-job.ts';
import { storeEvent } from '../shared/domains/billing/events/store-events.ts';
import { isNoEvent, readEventText } from '../shared/domains/billing/events/stripe-event.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { HOUR_MS } from '../shared/platform/time/clock.ts';
import { until } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { giveCustomer, givePrice } from './harness/stripe-customers.ts';
import { startStripeProxy } from './harness/stripe-proxy.ts';
import { sendWebhook, stripeEvent, stripeId } from './harness/stripe-webhooks.ts';

const proxy = await startStripeProxy();
const scene = await startBillingApp({ settings: { STRIPE_API_URL: proxy.url } });
const { app, stripe } = scene;
proxy.target = stripe.server.url;
const { billing, core } = app.admin;
const { operator, globex: globexKeys } = app.keys;

const price = await givePrice(scene, 'starter');
const customers = { globex: await giveCustomer(scene, 'globex'), acme: await giveCustomer(scene, 'acme') };
const subscribe = (tenant: keyof typeof customers) =>
  stripe.stripe.subscriptions.create({ customer: customers[tenant].id, items: [{ price: price.id }] });

const rowOf = async (eventId: string) =>
  (await billing`select * from stripe_events where event_id = ${eventId}`)[0];
const settled = (eventId: string) =>
  until(
    () => rowOf(eventId),
    (row) => row !== undefined && row['status'] !== 'received',
  );
const ask = (method: string, path: string, key: string = operator) =>
  app.request(method, `/api/v1/platform/billing${path}`, { key });
const reconcileIn = (ms: number) =>
  runJob(app.services, stripeReconcile, { triggeredBy: 'test', asOf: new Date(Date.now() + ms) });
const setFaults = (faults: object) => stripe.ask('POST', '/_stand-in/webhooks/faults', faults);

const globexs = await subscribe('globex');

/** An event of globex's subscription, with an id of its own. */
const subscriptionEvent = () =>
  stripeEvent('customer.subscription.updated', { id: globexs.id, object: 'subscription' });

describe('an event of Stripe', () => {
  it('makes the rows of its object what Stripe says, and says whose it was', async () => {
    const [row] = await until(
      () => billing`select * from user_subscriptions where tenant_id = 'globex'`,
      (rows) => rows[0]?.['status'] === 'active',
    );
    expect(row).toMatchObject({ stripe_subscription_id: globexs.id, plan_id: 'starter' });
    const events = await until(
      () => billing`select * from stripe_events where object_id = ${globexs.id}`,
      (rows) => rows.length > 0 && rows.every(({ status }) => status === 'processed'),
    );
    for (const event of events)
      expect(event).toMatchObject({ tenant_id: 'globex', attempts: 1, error: null, next_attempt_at: null });
  });

  it('has one row and one effect when Stripe delivers it twenty times', async () => {
    await setFaults({ duplicate: { times: 20 } });
    const acmes = await subscribe('acme');
    await until(
      () =>
        billing`select from user_subscriptions where stripe_subscription_id = ${acmes.id} and status = 'active'`,
      (rows) => rows.length === 1,
    );
    await stripe.ask('GET', '/_stand-in/webhooks/settled');
    await setFaults({});
    const rows =
      await billing`select event_id, count(*)::int as n from stripe_events group by event_id having count(*) > 1`;
    expect(rows).toHaveLength(0);
    expect(await billing`select from user_subscriptions where tenant_id = 'acme'`).toHaveLength(1);
    expect(await billing`select from billing_invoices where tenant_id = 'acme'`).toHaveLength(1);
  });

  it('of an object that no tenant has is a mismatch, and is listed until it is one’s', async () => {
    const stranger = await stripe.stripe.customers.create({ payment_method: 'pm_card_visa' });
    const event = stripeEvent('customer.updated', { id: stranger.id, object: 'customer' });
    await sendWebhook(app, event);
    expect(await settled(event.id)).toMatchObject({ status: 'mismatch', tenant_id: null });
    const listed = await ask('GET', `/mismatches?object_id=${stranger.id}`);
    expect(listed.body.items).toMatchObject([
      { kind: 'unknown_customer', object_type: 'customer', object_id: stranger.id, resolved_at: null },
    ]);
    for (const [query, length] of [
      ['kind=unknown_customer', 1],
      ['kind=mended', 0],
      ['state=resolved', 0],
      ['state=all', 1],
      ['tenant=globex', 0],
    ] as const) {
      const { body } = await ask('GET', `/mismatches?object_id=${stranger.id}&${query}`);
      expect([query, body.items.length]).toEqual([query, length]);
    }
    expect((await ask('GET', '/mismatches?kind=rumour')).status).toBe(400);
  });

  it('of an object that Stripe no longer has is processed', async () => {
    const event = stripeEvent('invoice.paid', { id: 'in_gone', object: 'invoice' });
    await sendWebhook(app, event);
    expect(await settled(event.id)).toMatchObject({ status: 'processed', tenant_id: null });
  });

  it('that Stripe refuses to tell more about has failed, with a code and no content', async () => {
    proxy.mode = 400;
    const event = subscriptionEvent();
    await sendWebhook(app, event);
    expect(await settled(event.id)).toMatchObject({ status: 'failed', error: 'parameter_invalid_empty' });
    proxy.mode = 'pass';
    expect((await ask('POST', `/events/${event.id}/replay`)).status).toBe(202);
    expect(await settled(event.id)).toMatchObject({ status: 'processed', error: null });
  });
});

describe('while Stripe is away', () => {
  it.each(['refuse', 500, 429] as const)('(%s) events wait, and their messages do not', async (mode) => {
    proxy.mode = mode;
    const event = subscriptionEvent();
    expect((await sendWebhook(app, event)).status).toBe(200);
    const row = await until(
      () => rowOf(event.id),
      (found) => found?.['attempts'] === 1,
    );
    expect(row).toMatchObject({
      status: 'received',
      error: expect.any(String) as string,
      processed_at: null,
    });
    const waits = (row?.['next_attempt_at'] as Date).getTime() - Date.now();
    expect(waits).toBeGreaterThan(0);
    expect(waits).toBeLessThan(10_000);
    await until(
      () => Promise.resolve(app.broker.queueCounts()['stripe-events']),
      (counts) => counts?.active === 0,
    );
    expect(app.broker.queueCounts()['stripe-events']?.deadLettered).toBe(0);
    // Still away: it waits longer. Then Stripe is back.
    expect(await reconcileIn(60_000)).toMatchObject({ status: 'partial' });
    expect(await rowOf(event.id)).toMatchObject({ status: 'received', attempts: 2 });
    proxy.mode = 'pass';
    await reconcileIn(HOUR_MS);
    expect(await rowOf(event.id)).toMatchObject({ status: 'processed', attempts: 3, error: null });
  });

  it('an event waits twice as long each time, from seconds to an hour, and not as long as the others', () => {
    const longest = [1, 2, 3, 9, 10, 1000].map((attempts) => backoffMs(attempts, () => 1));
    expect(longest).toEqual([10_000, 20_000, 40_000, 2_560_000, HOUR_MS, HOUR_MS]);
    expect([1, 1000].map((attempts) => backoffMs(attempts, () => 0))).toEqual([5_000, HOUR_MS / 2]);
  });
});

/** Stores events as a process that dies before it publishes them. */
async function storeQuietly(events: readonly object[]): Promise<string[]> {
  const services = { crossTenant: app.services.crossTenant, publisher: { publish: () => undefined } };
  const ids: string[] = [];
  for (const event of events) {
    const given = readEventText(JSON.stringify(event));
    if (isNoEvent(given)) throw new Error(given.detail);
    await storeEvent(services, given, { by: 'webhook', now: new Date() });
    ids.push(given.id);
  }
  return ids;
}

describe('a batch of events', () => {
  const always = () => true;

  it('asks Stripe once for each object, however many events it has', async () => {
    const ids = await storeQuietly(Array.from({ length: 10 }, subscriptionEvent));
    proxy.requests.length = 0;
    const sum = await processEvents(app.services, [...ids, ...ids, 'evt_unknown'], new Date(), always);
    expect(sum).toMatchObject({ processed: 10, put_back: 0, unexpected: [] });
    expect(proxy.requests.filter((request) => request.endsWith(globexs.id))).toHaveLength(1);
    // Twice is once.
    expect(await processEvents(app.services, ids, new Date(), always)).toMatchObject({ processed: 0 });
  });

  it('asks no more when Stripe did not answer a few times, and leaves the rest to the timer', async () => {
    const ids = await storeQuietly(
      Array.from({ length: 30 }, () =>
        stripeEvent('invoice.paid', { id: stripeId('in'), object: 'invoice' }),
      ),
    );
    proxy.mode = 'refuse';
    proxy.requests.length = 0;
    const sum = await processEvents(app.services, ids, new Date(), always);
    proxy.mode = 'pass';
    expect(sum).toMatchObject({ put_back: 30, unexpected: [] });
    expect(proxy.requests.length).toBeLessThanOrEqual(6);
    const rows =
      await billing`select attempts, next_attempt_at from stripe_events where event_id = any(${ids})`;
    expect(rows.filter(({ attempts }) => attempts === 0).length).toBeGreaterThanOrEqual(24);
    for (const row of rows)
      expect((row['next_attempt_at'] as Date).getTime()).toBeLessThan(Date.now() + 15_000);
    await reconcileIn(60_000);
    const left =
      await billing`select from stripe_events where event_id = any(${ids}) and status = 'received'`;
    expect(left).toHaveLength(0);
  });

  it('begins nothing when its time is over', async () => {
    const ids = await storeQuietly([subscriptionEvent()]);
    expect(await processEvents(app.services, ids, new Date(), () => false)).toMatchObject({ put_back: 1 });
    expect(await rowOf(ids[0] ?? '')).toMatchObject({ status: 'received', attempts: 0, error: null });
    await reconcileIn(60_000);
    expect(await rowOf(ids[0] ?? '')).toMatchObject({ status: 'processed' });
  });

  it('writes the other objects when one of them meets a bug, whose event stays and is tried later', async () => {
    const stranger = await stripe.stripe.customers.create({ metadata: { tenant_id: 'globex-2' } });
    const strange = stripeEvent('customer.updated', { id: stranger.id, object: 'customer' });
    const ids = await storeQuietly([strange, subscriptionEvent()]);
    const bug = new TypeError('a bug');
    const services = {
      ...app.services,
      tenants: { ...app.services.tenants, find: () => Promise.reject(bug), forget: () => undefined },
    };
    const sum = await processEvents(services, ids, new Date(), always);
    expect(sum).toMatchObject({ processed: 1, unexpected: [bug] });
    expect(await rowOf(strange.id)).toMatchObject({ status: 'received', attempts: 0 });
    // Its message may be dead-lettered. The timer finds it all the same.
    await reconcileIn(15 * 60_000);
    expect(await rowOf(strange.id)).toMatchObject({ status: 'mismatch' });
  });
});

describe('operators', () => {
  it('list events by status, type and tenant, newest first, page by page, without what Stripe sent', async () => {
    const { body } = await ask('GET', `/events?status=processed&type=customer.subscription.updated&limit=3`);
    expect(body.items).toHaveLength(3);
    for (const item of body.items) {
      expect(item).toMatchObject({ status: 'processed', type: 'customer.subscription.updated' });
      expect(item).not.toHaveProperty('payload');
    }
    const seen: string[] = [];
    let path: string | undefined = '/events?tenant=globex&limit=4';
    while (path !== undefined) {
      const page: Awaited<ReturnType<typeof ask>> = await ask('GET', path);
      seen.push(...page.body.items.map((item: { event_id: string }) => item.event_id));
      path = /\/billing(\/events[^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    const rows = await billing`select event_id from stripe_events where tenant_id = 'globex'
      order by received_at desc, event_id desc`;
    expect(seen).toEqual(rows.map(({ event_id: id }) => id as string));
    for (const query of ['status=lost', 'type=A%20B', 'tenant=..', 'limit=0', 'colour=red'])
      expect([query, (await ask('GET', `/events?${query}`)).status]).toEqual([query, 400]);
  });

  it('read one with what Stripe sent, which is audited', async () => {
    const event = subscriptionEvent();
    await sendWebhook(app, event);
    const read = await ask('GET', `/events/${event.id}`);
    expect(read.body).toMatchObject({ event_id: event.id, payload: event });
    await until(
      () => core`select from audit_logs where action = 'stripe_event.read' and resource_id = ${event.id}`,
      (rows) => rows.length === 1,
    );
  });

  it('replay one that is processed, harmlessly and audited', async () => {
    const event = subscriptionEvent();
    await sendWebhook(app, event);
    await settled(event.id);
    const [before] = await billing`select version from user_subscriptions where tenant_id = 'globex'`;
    const answers = await Promise.all([1, 2, 3].map(() => ask('POST', `/events/${event.id}/replay`)));
    for (const answer of answers)
      expect([answer.status, answer.body]).toEqual([
        202,
        { event_id: event.id, type: event['type'], status: 'received' },
      ]);
    await settled(event.id);
    expect(await billing`select version from user_subscriptions where tenant_id = 'globex'`).toEqual([
      before,
    ]);
    const entries = await until(
      () =>
        core`select details from audit_logs where action = 'stripe_event.replayed' and resource_id = ${event.id}`,
      (rows) => rows.length === 3,
    );
    expect(entries.some(({ details }) => details.was === 'processed')).toBe(true);
  });

  it('replay one that is ignored, and it is ignored again', async () => {
    const event = stripeEvent('price.updated', { id: 'price_1', object: 'price' });
    await sendWebhook(app, event);
    expect((await ask('POST', `/events/${event.id}/replay`)).status).toBe(202);
    expect(await settled(event.id)).toMatchObject({ status: 'ignored' });
  });

  it('get 404 for an unknown event, 400 for what is no id, and nobody else gets anything', async () => {
    expect((await ask('POST', '/events/evt_unknown/replay')).status).toBe(404);
    expect((await ask('GET', '/events/evt_unknown')).status).toBe(404);
    expect((await ask('GET', '/events/evt%20unknown')).status).toBe(400);
    for (const [method, path] of [
      ['GET', '/events'],
      ['GET', '/events/evt_1'],
      ['POST', '/events/evt_1/replay'],
      ['GET', '/mismatches'],
    ] as const)
      expect([path, (await ask(method, path, globexKeys.owner)).status]).toEqual([path, 403]);
  });
});
