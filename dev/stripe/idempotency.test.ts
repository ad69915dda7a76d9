import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';

let test: TestStripe;
let now = Date.now();

beforeAll(async () => {
  test = await startTestStripe({ now: () => now });
});
afterAll(() => test.close());
beforeEach(() => test.ask('POST', '/_stand-in/reset'));

const count = async (): Promise<number> => (await test.stripe.customers.list({ limit: 100 })).data.length;

async function hold(path: string, point: 'before' | 'after'): Promise<string> {
  const answer = await test.ask('POST', '/_stand-in/holds', { path, point });
  return JSON.parse(await answer.text()).id;
}
const whenHeld = (id: string): Promise<Response> => test.ask('GET', `/_stand-in/holds/${id}`);
const release = (id: string, how: 'go' | 'cut'): Promise<Response> =>
  test.ask('POST', `/_stand-in/holds/${id}/release`, { how });

it('the same key with the same parameters gives the first answer again, also after a restart', async () => {
  const params = { name: 'Globex', metadata: { tenant_id: 'globex' } };
  const first = await test.stripe.customers.create(params, { idempotencyKey: 'k1' });
  const again = await test.stripe.customers.create(params, { idempotencyKey: 'k1' });
  expect(again).toEqual(first);
  expect(first.lastResponse.headers['idempotent-replayed']).toBeUndefined();
  expect(again.lastResponse.headers['idempotent-replayed']).toBe('true');
  expect(again.lastResponse.headers['original-request']).toBe(first.lastResponse.requestId);
  await test.restart();
  const later = await test.stripe.customers.create(params, { idempotencyKey: 'k1' });
  expect(later).toEqual(first);
  expect(later.lastResponse.headers['idempotent-replayed']).toBe('true');
  expect(await count()).toBe(1);
});

it('the same key with other parameters, or for another address, is refused', async () => {
  await test.stripe.customers.create({ name: 'One' }, { idempotencyKey: 'k1' });
  const others = test.stripe.customers.create({ name: 'Two' }, { idempotencyKey: 'k1' });
  await expect(others).rejects.toBeInstanceOf(Stripe.errors.StripeIdempotencyError);
  await expect(others).rejects.toMatchObject({ statusCode: 400, rawType: 'idempotency_error' });
  const elsewhere = test.stripe.products.create({ name: 'One' }, { idempotencyKey: 'k1' });
  await expect(elsewhere).rejects.toMatchObject({ statusCode: 400, rawType: 'idempotency_error' });
  expect(await count()).toBe(1);
});

it('a key whose first request still runs is 409, and a client that tries again gets the first answer', async () => {
  const held = await hold('/v1/customers', 'before');
  const first = test.stripe.customers.create({ name: 'One' }, { idempotencyKey: 'k1' });
  await whenHeld(held);
  const second = test.stripe.customers.create({ name: 'One' }, { idempotencyKey: 'k1' });
  await expect(second).rejects.toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' });
  const patient = test
    .connect({ maxNetworkRetries: 5 })
    .customers.create({ name: 'One' }, { idempotencyKey: 'k1' });
  await release(held, 'go');
  expect((await patient).id).toBe((await first).id);
  expect(await count()).toBe(1);
});

it('an answer that never arrived is given to the next try', async () => {
  const held = await hold('/v1/customers', 'after');
  const patient = test.connect({ maxNetworkRetries: 2 });
  const request = patient.customers.create({ name: 'One' }, { idempotencyKey: 'k1' });
  await whenHeld(held);
  await release(held, 'cut');
  expect((await request).lastResponse.headers['idempotent-replayed']).toBe('true');
  expect(await count()).toBe(1);
});

it('an error of the effect is kept as an answer, an error of the parameters is not', async () => {
  const price = { currency: 'usd', unit_amount: 100, product: 'prod_later' };
  const create = (): Promise<Stripe.Price> => test.stripe.prices.create(price, { idempotencyKey: 'k1' });
  await expect(create()).rejects.toMatchObject({ code: 'resource_missing' });
  await test.stripe.products.create({ id: 'prod_later', name: 'Later' });
  await expect(create()).rejects.toMatchObject({ code: 'resource_missing' });

  const wrong = test.stripe.rawRequest('POST', '/v1/customers', { nope: 1 }, { idempotencyKey: 'k2' });
  await expect(wrong).rejects.toMatchObject({ code: 'parameter_unknown' });
  await test.stripe.customers.create({ name: 'Right' }, { idempotencyKey: 'k2' });
  expect(await count()).toBe(1);
});

it('a key is forgotten after a day', async () => {
  const first = await test.stripe.customers.create({}, { idempotencyKey: 'k1' });
  now += 24 * 60 * 60_000;
  const second = await test.stripe.customers.create({}, { idempotencyKey: 'k1' });
  expect(second.id).not.toBe(first.id);
});

it('requests at once with one key make one customer', async () => {
  const patient = test.connect({ maxNetworkRetries: 5 });
  const create = (): Promise<Stripe.Customer> => patient.customers.create({}, { idempotencyKey: 'k1' });
  const made = await Promise.all(Array.from({ length: 20 }, create));
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  expect(await count()).toBe(1);
});
