import { readFileSync } from 'node:fs';
import path from 'node:path';
import Stripe from 'stripe';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startReceiver } from './test-receiver.ts';
import type { TestReceiver } from './test-receiver.ts';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';
import type { Delivery } from './webhooks/deliveries.ts';

const RETRY_MS = 40;

let test: TestStripe;
let receiver: TestReceiver;

beforeEach(async () => {
  test = await startTestStripe({
    webhooks: { retryDelaysMs: [RETRY_MS, RETRY_MS, RETRY_MS], timeoutMs: 300 },
  });
  receiver = await startReceiver();
});
afterEach(async () => {
  await test.close();
  await receiver.close();
});

function addEndpoint(
  params: Partial<Stripe.WebhookEndpointCreateParams> = {},
): Promise<Stripe.WebhookEndpoint> {
  return test.stripe.webhookEndpoints.create({ url: receiver.url, enabled_events: ['*'], ...params });
}

const ask = async (method: string, place: string, body?: object) =>
  JSON.parse(await (await test.ask(method, `/_stand-in/webhooks/${place}`, body)).text());
const settle = (): Promise<unknown> => ask('GET', 'settled');
const deliveries = async (): Promise<Delivery[]> => (await ask('GET', 'deliveries')).deliveries;
const pendingOf = async (id: string): Promise<number> =>
  (await test.stripe.events.retrieve(id)).pending_webhooks;

function verify({ body, headers }: TestReceiver['received'][number], secret = ''): Stripe.Event {
  return test.stripe.webhooks.constructEvent(body, headers['stripe-signature'] ?? '', secret);
}

it('an endpoint is created, read, changed, listed and deleted; its secret is shown at its creation only', async () => {
  const made = await addEndpoint({
    enabled_events: ['invoice.paid', 'customer.created'],
    description: 'Ours',
  });
  expect(made.id).toMatch(/^we_\w{24}$/);
  expect(made.secret).toMatch(/^whsec_\w{32}$/);
  expect(made).toMatchObject({ status: 'enabled', api_version: null, description: 'Ours', livemode: false });
  const { secret: _secret, ...shown } = made;
  expect(await test.stripe.webhookEndpoints.retrieve(made.id)).toEqual({ ...shown });
  expect((await test.stripe.webhookEndpoints.list()).data).toEqual([{ ...shown }]);
  const changed = await test.stripe.webhookEndpoints.update(made.id, {
    disabled: true,
    enabled_events: ['*'],
    metadata: { app: 'billing' },
    description: '',
  });
  expect(changed).toMatchObject({ status: 'disabled', enabled_events: ['*'], description: null });
  expect(changed).not.toHaveProperty('secret');
  expect(await test.stripe.webhookEndpoints.update(made.id, { disabled: false })).toMatchObject({
    status: 'enabled',
  });
  expect(await test.stripe.webhookEndpoints.del(made.id)).toMatchObject({ deleted: true });
  await expect(test.stripe.webhookEndpoints.retrieve(made.id)).rejects.toMatchObject({ statusCode: 404 });
});

it('an endpoint has a version from acacia to endive, a URL, and events that read as such', async () => {
  for (const api_version of ['2024-09-30.acacia', '2025-08-27.basil', '2026-10-28.endive'] as const)
    expect((await addEndpoint({ api_version })).api_version).toBe(api_version);
  await expect(addEndpoint({ api_version: '2020-08-27' })).rejects.toMatchObject({
    statusCode: 501,
    param: 'api_version',
  });
  await expect(addEndpoint({ api_version: '2031-01-01.future' as never })).rejects.toMatchObject({
    statusCode: 400,
    param: 'api_version',
  });
  await expect(addEndpoint({ url: 'example.com/hooks' })).rejects.toMatchObject({ code: 'url_invalid' });
  await expect(addEndpoint({ enabled_events: [] })).rejects.toMatchObject({ param: 'enabled_events' });
  await expect(addEndpoint({ enabled_events: ['Paid!' as never] })).rejects.toMatchObject({
    param: 'enabled_events[0]',
  });
});

it('thin events and event destinations are 501', async () => {
  const create = test.stripe.v2.core.eventDestinations.create({
    enabled_events: ['v1.invoice.paid'],
    event_payload: 'thin',
    name: 'Thin',
    type: 'webhook_endpoint',
    webhook_endpoint: { url: receiver.url },
  });
  await expect(create).rejects.toMatchObject({ statusCode: 501 });
});

it('an event comes signed over its raw bytes, as the official SDK wants it', async () => {
  const { secret = '' } = await addEndpoint();
  const customer = await test.stripe.customers.create({ name: 'Globex Köln' });
  await receiver.whenReceived(1);
  const [one] = receiver.received;
  if (one === undefined) throw new Error('nothing came');
  expect(one.headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8' });
  expect(one.headers['stripe-signature']).toMatch(/^t=\d{10},v1=[0-9a-f]{64}$/);
  const event = verify(one, secret);
  expect(event).toMatchObject({
    object: 'event',
    type: 'customer.created',
    api_version: Stripe.API_VERSION,
    pending_webhooks: 1,
    data: { object: { id: customer.id, name: 'Globex Köln' } },
  });
  expect(() => verify(one, 'whsec_another')).toThrow(Stripe.errors.StripeSignatureVerificationError);
  expect(() => verify({ ...one, body: one.body.replace('Globex', 'Initech') }, secret)).toThrow();
  expect(() => verify({ ...one, body: JSON.stringify(JSON.parse(one.body)) }, secret)).toThrow();
  const later = Math.floor(Date.now()) + 301_000;
  const header = one.headers['stripe-signature'] ?? '';
  expect(() =>
    test.stripe.webhooks.constructEvent(one.body, header, secret, undefined, undefined, later),
  ).toThrow('Timestamp outside the tolerance zone');
});

it('an endpoint gets the types that it wants, and each endpoint its own secret', async () => {
  const all = await addEndpoint({ url: `${receiver.url}/all` });
  const some = await addEndpoint({ url: `${receiver.url}/some`, enabled_events: ['customer.updated'] });
  const { id } = await test.stripe.customers.create({});
  await test.stripe.customers.update(id, { name: 'Globex' });
  await settle();
  const got = receiver.received.map(({ path: to, event }) => `${to} ${event.type}`).sort();
  expect(got).toEqual([
    '/webhooks/all customer.created',
    '/webhooks/all customer.updated',
    '/webhooks/some customer.updated',
  ]);
  for (const one of receiver.received) verify(one, one.path.endsWith('/all') ? all.secret : some.secret);
  const [updated] = (await test.stripe.events.list({ type: 'customer.updated' })).data;
  expect(updated?.pending_webhooks).toBe(0);
});

it('while a secret rolls both sign, and the old one ends', async () => {
  const { id, secret: old } = await addEndpoint();
  const { secret } = await ask('POST', `endpoints/${id}/roll`, { keep_old_ms: 60_000 });
  expect(secret).toMatch(/^whsec_/);
  await test.stripe.customers.create();
  await settle();
  expect(receiver.received[0]?.headers['stripe-signature']).toMatch(/^t=\d+,v1=[0-9a-f]+,v1=[0-9a-f]+$/);
  for (const one of receiver.received) for (const good of [secret, old]) verify(one, good);
  await ask('POST', `endpoints/${id}/roll`, { keep_old_ms: 0 });
  await test.stripe.customers.create();
  await settle();
  const [, last] = receiver.received;
  if (last === undefined) throw new Error('nothing came');
  expect(last.headers['stripe-signature']).toMatch(/^t=\d+,v1=[0-9a-f]+$/);
  expect(() => verify(last, secret)).toThrow();
});

it('each endpoint gets the shape of its own version', async () => {
  await addEndpoint({ url: `${receiver.url}/old`, api_version: '2025-06-30.basil' });
  await addEndpoint({ url: `${receiver.url}/new` });
  const coupon = await test.stripe.coupons.create({ percent_off: 10 });
  await test.stripe.promotionCodes.create({ promotion: { type: 'coupon', coupon: coupon.id } });
  await settle();
  const find = (end: string): Stripe.Event | undefined =>
    receiver.received.find(
      ({ path: to, event }) => to.endsWith(end) && event.type === 'promotion_code.created',
    )?.event;
  expect(find('/old')).toMatchObject({
    api_version: '2025-06-30.basil',
    data: { object: { coupon: { id: coupon.id, percent_off: 10 } } },
  });
  expect(find('/new')).toMatchObject({
    api_version: Stripe.API_VERSION,
    data: { object: { promotion: { coupon: coupon.id } } },
  });
  expect(find('/old')?.id).toBe(find('/new')?.id);
});

it('an event shows its object as it was, without what only expand brings', async () => {
  await addEndpoint();
  await test.stripe.products.create({ id: 'prod_1', name: 'Team' });
  const coupon = await test.stripe.coupons.create({
    percent_off: 10,
    applies_to: { products: ['prod_1'] },
  });
  await settle();
  const told = receiver.received.find(({ event }) => event.type === 'coupon.created');
  expect(told?.event.data.object).toEqual(JSON.parse(JSON.stringify(coupon)));
});

it('what is not taken comes again until it is, and is pending as long', async () => {
  await addEndpoint();
  const answers = [500, 302, 200];
  const times: number[] = [];
  receiver.answer = () => {
    times.push(performance.now());
    return answers.shift() ?? 599;
  };
  await test.stripe.customers.create();
  await receiver.whenReceived(1);
  const [first] = receiver.received;
  const id = first?.event.id ?? '';
  expect(await pendingOf(id)).toBe(1);
  expect((await test.stripe.events.list({ delivery_success: false })).data.map((one) => one.id)).toEqual([
    id,
  ]);
  await settle();
  expect(receiver.received.map(({ event }) => event.id)).toEqual([id, id, id]);
  expect(receiver.received.map(({ path: to }) => to)).toEqual(['/webhooks', '/webhooks', '/webhooks']);
  expect(receiver.others).toEqual([]);
  // A timer may be a millisecond early.
  for (const [index, time] of times.slice(1).entries())
    expect(time - (times[index] ?? 0)).toBeGreaterThan(RETRY_MS - 2);
  expect(await pendingOf(id)).toBe(0);
  expect(await deliveries()).toEqual([
    expect.objectContaining({
      event: id,
      type: 'customer.created',
      state: 'succeeded',
      attempts: 3,
      last_status: 200,
      last_error: null,
      next_at: null,
    }),
  ]);
});

it('attempts end, the event stays undelivered, and it can be sent again', async () => {
  const { id: endpoint } = await addEndpoint();
  receiver.answer = () => 503;
  await test.stripe.customers.create();
  await settle();
  expect(receiver.received).toHaveLength(4);
  const [failed] = await deliveries();
  expect(failed).toMatchObject({
    state: 'failed',
    attempts: 4,
    last_status: 503,
    last_error: 'answered 503',
  });
  const id = failed?.event ?? '';
  expect(await pendingOf(id)).toBe(1);
  receiver.answer = () => 200;
  await ask('POST', `events/${id}/resend`, { endpoint });
  await settle();
  await ask('POST', `events/${id}/resend`, { endpoint });
  await settle();
  expect(receiver.received).toHaveLength(6);
  expect(await pendingOf(id)).toBe(0);
  expect((await deliveries()).map(({ copy, state }) => [copy, state])).toEqual([
    [0, 'failed'],
    [1, 'succeeded'],
    [2, 'succeeded'],
  ]);
});

it('an endpoint that is slow or away has failed', async () => {
  await addEndpoint();
  const away = await startReceiver();
  await away.close();
  await addEndpoint({ url: away.url });
  receiver.answer = () => 0;
  await test.stripe.customers.create();
  expect(await ask('GET', 'settled?timeout_ms=1')).toEqual({ settled: false, pending: 2 });
  await settle();
  expect(await deliveries()).toEqual([
    expect.objectContaining({
      state: 'failed',
      last_status: null,
      last_error: expect.stringContaining('timeout'),
    }),
    expect.objectContaining({ state: 'failed', last_status: null, last_error: 'ECONNREFUSED' }),
  ]);
});

it('a disabled endpoint gets nothing, also no retry; a deleted one neither', async () => {
  const { id } = await addEndpoint();
  await test.stripe.webhookEndpoints.update(id, { disabled: true });
  await test.stripe.customers.create();
  expect((await test.stripe.events.list()).data[0]?.pending_webhooks).toBe(0);
  await test.stripe.webhookEndpoints.update(id, { disabled: false });
  receiver.answer = async () => {
    await test.stripe.webhookEndpoints.update(id, { disabled: true });
    return 500;
  };
  await test.stripe.customers.create();
  await settle();
  expect(receiver.received).toHaveLength(1);
  expect(await deliveries()).toEqual([
    expect.objectContaining({ state: 'failed', attempts: 1, last_error: 'the endpoint is disabled' }),
  ]);
  const other = await addEndpoint();
  receiver.answer = async () => {
    await test.stripe.webhookEndpoints.del(other.id);
    return 500;
  };
  await test.stripe.customers.create();
  await settle();
  expect(receiver.received).toHaveLength(2);
  expect((await deliveries())[1]).toMatchObject({ state: 'failed', last_error: 'the endpoint is deleted' });
});

it('what is pending survives a restart, with its secret; what was on its way then comes again', async () => {
  const { secret } = await addEndpoint();
  receiver.answer = () => 0;
  const one = await test.stripe.customers.create();
  await receiver.whenReceived(1);
  await test.restart();
  receiver.answer = () => 200;
  await settle();
  expect(receiver.ids()).toEqual([one.id, one.id]);
  for (const received of receiver.received) verify(received, secret);
  expect((await test.stripe.events.list({ delivery_success: false })).data).toEqual([]);
  await test.restart();
  expect(await settle()).toEqual({ settled: true, pending: 0 });
  expect(receiver.received).toHaveLength(2);
});

it('a change, its event and who gets it are one line of the file', async () => {
  const { id } = await addEndpoint();
  await ask('POST', 'faults', { delay_ms: 60_000 });
  await test.stripe.customers.create();
  const lines = readFileSync(path.join(test.folder, 'stripe.jsonl'), 'utf8').trimEnd().split('\n');
  const names = JSON.parse(lines.at(-1) ?? '').map(([, what]: [string, string | { object: string }]) =>
    typeof what === 'string' ? what : what.object,
  );
  expect(names).toEqual(['customer', 'event', 'webhook_faults', 'webhook_delivery', 'idempotent_answer']);
  expect(lines.at(-1)).toContain(id);
});

it('what a refused request has done is told to nobody', async () => {
  await addEndpoint({ enabled_events: ['customer.created'] });
  const price = test.stripe.prices.create({ product: 'prod_none', currency: 'eur', unit_amount: 1 });
  await expect(price).rejects.toMatchObject({ statusCode: 400 });
  const { standIn } = test.server;
  expect(() =>
    standIn.perform(null, (context) => {
      context.emit('customer.created', { id: 'cus_1', object: 'customer' } as unknown as Stripe.Customer);
      throw new Error('undone');
    }),
  ).toThrow('undone');
  expect(await deliveries()).toEqual([]);
});

it('many events come in about their order and each once', async () => {
  await addEndpoint({ enabled_events: ['customer.created'] });
  const made: string[] = [];
  for (let count = 0; count < 50; count += 1) made.push((await test.stripe.customers.create()).id);
  await settle();
  expect(receiver.ids().toSorted()).toEqual(made.toSorted());
});

it('a reset forgets endpoints and deliveries', async () => {
  await addEndpoint();
  receiver.answer = () => 500;
  await test.stripe.customers.create();
  await receiver.whenReceived(1);
  await test.ask('POST', '/_stand-in/reset');
  expect(await settle()).toEqual({ settled: true, pending: 0 });
  expect(await deliveries()).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 3 * RETRY_MS));
  expect(receiver.received).toHaveLength(1);
});
