import type Stripe from 'stripe';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startReceiver } from './test-receiver.ts';
import type { TestReceiver } from './test-receiver.ts';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';
import type { Delivery } from './webhooks/deliveries.ts';
import type { GivenFaults } from './webhooks/faults.ts';

let test: TestStripe;
let receiver: TestReceiver;

beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());
beforeEach(async () => {
  receiver.received.length = 0;
  receiver.answer = () => 200;
  test = await startTestStripe({ webhooks: { retryDelaysMs: [20, 20] } });
});
afterEach(() => test.close());

const ask = async (method: string, place: string, body?: object) =>
  JSON.parse(await (await test.ask(method, `/_stand-in/webhooks/${place}`, body)).text());
const settle = (): Promise<unknown> => ask('GET', 'settled');
const setFaults = (faults: GivenFaults): Promise<unknown> => ask('POST', 'faults', faults);
const eventIds = (): string[] => receiver.received.map(({ event }) => event.id);

/** Deletes all that was and makes so many customers, `cus_0` first; returns in which order their numbers came. */
async function play(faults: GivenFaults | null, count = 12): Promise<number[]> {
  await test.ask('POST', '/_stand-in/reset');
  receiver.received.length = 0;
  await test.stripe.webhookEndpoints.create({
    url: receiver.url,
    enabled_events: ['customer.created', 'customer.updated'],
  });
  if (faults !== null) await setFaults(faults);
  for (let number = 0; number < count; number += 1)
    await test.stripe.customers.create({ metadata: { number } });
  await settle();
  return receiver.received.map(({ event }) =>
    Number((event.data.object as Stripe.Customer).metadata['number']),
  );
}

const inOrder = Array.from({ length: 12 }, (_, number) => number);

it('each event is delivered so many times, to be taken as one', async () => {
  const numbers = await play({ duplicate: { times: 3 } }, 2);
  expect(numbers.toSorted()).toEqual([0, 0, 0, 1, 1, 1]);
  expect(new Set(eventIds()).size).toBe(2);
  const events = (await test.stripe.events.list({ type: 'customer.created' })).data;
  expect(events.map(({ pending_webhooks }) => pending_webhooks)).toEqual([0, 0]);
});

it('an endpoint that takes an event twice does not count for one that does not', async () => {
  await test.stripe.webhookEndpoints.create({ url: `${receiver.url}/good`, enabled_events: ['*'] });
  await test.stripe.webhookEndpoints.create({ url: `${receiver.url}/bad`, enabled_events: ['*'] });
  receiver.answer = ({ path: to }) => (to.endsWith('/good') ? 200 : 500);
  await setFaults({ duplicate: { times: 2 } });
  await test.stripe.customers.create();
  await settle();
  expect((await test.stripe.events.list()).data[0]?.pending_webhooks).toBe(1);
});

it('one change is told of by two Event objects', async () => {
  const numbers = await play({ duplicate: { events: 2 } }, 2);
  expect(numbers.toSorted()).toEqual([0, 0, 1, 1]);
  expect(new Set(eventIds()).size).toBe(4);
  const events = (await test.stripe.events.list({ type: 'customer.created' })).data;
  expect(events.map(({ id }) => id).toSorted()).toEqual(eventIds().toSorted());
  expect(new Set(events.map(({ data }) => Reflect.get(data.object, 'id'))).size).toBe(2);
});

it('a seed shuffles within its window, the same way each time, and another seed another way', async () => {
  const first = await play({ seed: 7, reorder: { window: 6, flush_ms: 10_000 } });
  expect(first).not.toEqual(inOrder);
  expect(first.slice(0, 6).toSorted((a, b) => a - b)).toEqual(inOrder.slice(0, 6));
  expect(first.slice(6).toSorted((a, b) => a - b)).toEqual(inOrder.slice(6));
  expect(await play({ seed: 7, reorder: { window: 6, flush_ms: 10_000 } })).toEqual(first);
  expect(await play({ seed: 8, reorder: { window: 6, flush_ms: 10_000 } })).not.toEqual(first);
});

it('what is shuffled is sent one by one, so that it arrives as it was shuffled', async () => {
  let open = 0;
  let most = 0;
  receiver.answer = async () => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setTimeout(resolve, 5));
    open -= 1;
    return 200;
  };
  await play({ seed: 7, reorder: { window: 6, flush_ms: 10_000 } });
  expect(most).toBe(1);
  await play(null);
  expect(receiver.received).toHaveLength(12);
});

it('a window that does not fill goes out after a pause', async () => {
  const numbers = await play({ seed: 3, reorder: { window: 100, flush_ms: 50 } }, 5);
  expect(numbers.toSorted()).toEqual([0, 1, 2, 3, 4]);
});

it('a share is lost, by the seed, counts as failed and does not come again', async () => {
  const first = await play({ seed: 5, drop: { share: 0.5 } });
  expect(first.length).toBeGreaterThan(0);
  expect(first.length).toBeLessThan(12);
  const again = await play({ seed: 5, drop: { share: 0.5 } });
  expect(again.toSorted()).toEqual(first.toSorted());
  const undelivered = (await test.stripe.events.list({ delivery_success: false, limit: 100 })).data;
  expect(undelivered).toHaveLength(12 - first.length);
  const { deliveries } = await ask('GET', 'deliveries?state=dropped');
  expect(deliveries).toHaveLength(12 - first.length);
  expect(deliveries[0]).toMatchObject({
    attempts: 1,
    last_status: null,
    last_error: 'dropped by the stand-in',
  });
});

it('a type is lost, and what is lost can come later', async () => {
  expect(await play({ drop: { types: ['customer.created'] } }, 2)).toEqual([]);
  const [customer] = (await test.stripe.customers.list()).data;
  await test.stripe.customers.update(customer?.id ?? '', { name: 'Globex' });
  await settle();
  expect(receiver.received.map(({ event }) => event.type)).toEqual(['customer.updated']);

  const numbers = await play({ drop: { types: ['customer.*'], retry: true } }, 2);
  expect(numbers.toSorted()).toEqual([0, 1]);
  const { deliveries } = await ask('GET', 'deliveries');
  expect(deliveries.map(({ state, attempts }: Delivery) => [state, attempts])).toEqual([
    ['succeeded', 2],
    ['succeeded', 2],
  ]);
});

it('what is delayed comes after its time', async () => {
  const before = Date.now();
  await play({ delay_ms: 150 }, 1);
  expect(Date.now() - before).toBeGreaterThanOrEqual(150);
  await play({ seed: 2, delay_ms: { min: 0, max: 40 } }, 3);
  expect(receiver.received).toHaveLength(3);
});

it('all of them together deliver each event at least once', async () => {
  const numbers = await play({
    seed: 11,
    delay_ms: { min: 0, max: 30 },
    duplicate: { times: 2, events: 2, share: 0.5 },
    reorder: { window: 4, flush_ms: 40 },
    drop: { share: 0.3, retry: true },
  });
  expect([...new Set(numbers)].toSorted((a, b) => a - b)).toEqual(inOrder);
  expect(numbers.length).toBeGreaterThan(12);
});

it('faults are told, replaced, turned off, and refused where they make no sense', async () => {
  await setFaults({ duplicate: { times: 2 } });
  expect(await ask('GET', 'faults')).toEqual({
    faults: { seed: 1, duplicate: { times: 2, events: 1, share: 1 } },
  });
  await setFaults({ delay_ms: 5 });
  expect(await ask('GET', 'faults')).toEqual({ faults: { seed: 1, delay_ms: 5 } });
  await ask('DELETE', 'faults');
  expect(await ask('GET', 'faults')).toEqual({ faults: null });
  const refused = await test.ask('POST', '/_stand-in/webhooks/faults', { loss: 1 });
  expect(refused.status).toBe(400);
  expect((await test.ask('POST', '/_stand-in/webhooks/faults', { drop: { share: 2 } })).status).toBe(400);
  expect((await play(null, 3)).toSorted()).toEqual([0, 1, 2]);
});

it('what is held to be shuffled goes out when faults are turned off', async () => {
  await test.stripe.webhookEndpoints.create({ url: receiver.url, enabled_events: ['*'] });
  await setFaults({ reorder: { window: 50, flush_ms: 60_000 } });
  await test.stripe.customers.create();
  expect(await ask('GET', 'settled?timeout_ms=20')).toEqual({ settled: false, pending: 1 });
  await ask('DELETE', 'faults');
  await settle();
  expect(receiver.received).toHaveLength(1);
});

it('faults go on after a restart where they were', async () => {
  const faults: GivenFaults = { seed: 5, drop: { share: 0.5 } };
  const whole = await play(faults);
  await play(faults, 6);
  await test.restart();
  for (let number = 6; number < 12; number += 1) await test.stripe.customers.create({ metadata: { number } });
  await settle();
  const numbers = receiver.received.map(({ event }) =>
    Number((event.data.object as Stripe.Customer).metadata['number']),
  );
  expect(numbers.toSorted()).toEqual(whole.toSorted());
});

it('faults can be said at the start, and come back with a reset', async () => {
  const faulty = await startTestStripe({ webhooks: { faults: { duplicate: { times: 2 } } } });
  const read = async (): Promise<unknown> =>
    JSON.parse(await (await faulty.ask('GET', '/_stand-in/webhooks/faults')).text()).faults;
  try {
    expect(await read()).toMatchObject({ duplicate: { times: 2 } });
    await faulty.ask('DELETE', '/_stand-in/webhooks/faults');
    expect(await read()).toBeNull();
    await faulty.ask('POST', '/_stand-in/reset');
    expect(await read()).toMatchObject({ duplicate: { times: 2 } });
  } finally {
    await faulty.close();
  }
});
