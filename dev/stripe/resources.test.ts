import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';

let test: TestStripe;
let stripe: Stripe;

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(() => test.ask('POST', '/_stand-in/reset'));

async function createPlan(): Promise<{ product: Stripe.Product; price: Stripe.Price }> {
  const product = await stripe.products.create({ name: 'Team', metadata: { plan_id: 'team' } });
  const price = await stripe.prices.create({
    product: product.id,
    currency: 'EUR',
    unit_amount: 4900,
    recurring: { interval: 'month' },
    lookup_key: 'team-monthly',
  });
  return { product, price };
}

const eventTypes = async (): Promise<string[]> => (await stripe.events.list()).data.map(({ type }) => type);

it('a customer is created, read, changed, listed and deleted', async () => {
  const made = await stripe.customers.create({
    name: 'Globex',
    email: 'billing@globex.example',
    address: { city: 'Bonn', country: 'DE' },
    metadata: { tenant_id: 'globex', seats: 3 },
  });
  expect(made.id).toMatch(/^cus_\w{14}$/);
  expect(made).toMatchObject({
    object: 'customer',
    balance: 0,
    livemode: false,
    metadata: { tenant_id: 'globex', seats: '3' },
    address: { city: 'Bonn', line1: null },
    invoice_settings: { default_payment_method: null },
  });
  expect(await stripe.customers.retrieve(made.id)).toEqual(made);
  const changed = await stripe.customers.update(made.id, { name: 'Globex AG', email: '' });
  expect(changed).toMatchObject({ name: 'Globex AG', email: null, address: { city: 'Bonn' } });
  expect(await stripe.customers.del(made.id)).toEqual({ id: made.id, object: 'customer', deleted: true });
  expect(await stripe.customers.retrieve(made.id)).toEqual({
    id: made.id,
    object: 'customer',
    deleted: true,
  });
  expect((await stripe.customers.list()).data).toEqual([]);
  await expect(stripe.customers.update(made.id, { name: 'x' })).rejects.toMatchObject({ statusCode: 404 });
});

it('a default payment method must be there', async () => {
  const { id } = await stripe.customers.create();
  const change = stripe.customers.update(id, { invoice_settings: { default_payment_method: 'pm_none' } });
  await expect(change).rejects.toMatchObject({
    code: 'resource_missing',
    param: 'invoice_settings[default_payment_method]',
  });
});

it('customers are found by their email', async () => {
  await stripe.customers.create({ email: 'a@example.com' });
  const b = await stripe.customers.create({ email: 'b@example.com' });
  const found = await stripe.customers.list({ email: 'b@example.com' });
  expect(found.data.map(({ id }) => id)).toEqual([b.id]);
});

it('lists are newest first and can be walked both ways, to the end', async () => {
  const made: string[] = [];
  for (let index = 0; index < 25; index += 1) made.unshift((await stripe.customers.create()).id);
  const all = await stripe.customers.list({ limit: 7 }).autoPagingToArray({ limit: 100 });
  expect(all.map(({ id }) => id)).toEqual(made);
  const first = await stripe.customers.list();
  expect(first).toMatchObject({ object: 'list', has_more: true, url: '/v1/customers' });
  expect(first.data).toHaveLength(10);
  const back = await stripe.customers.list({ limit: 3, ending_before: made[10] ?? '' });
  expect(back.data.map(({ id }) => id)).toEqual(made.slice(7, 10));
  expect(back.has_more).toBe(true);
  const backwards = await stripe.customers
    .list({ limit: 4, ending_before: made.at(-1) ?? '' })
    .autoPagingToArray({ limit: 100 });
  expect(backwards.map(({ id }) => id)).toEqual(made.slice(0, -1).reverse());
  const last = await stripe.customers.list({ starting_after: made.at(-1) ?? '' });
  expect(last).toMatchObject({ data: [], has_more: false });
  await expect(stripe.customers.list({ starting_after: 'cus_none' })).rejects.toMatchObject({
    code: 'resource_missing',
    param: 'starting_after',
  });
});

it('lists are bounded by the time of creation', async () => {
  const { created, id } = await stripe.customers.create();
  const ids = async (range: Stripe.RangeQueryParam | number): Promise<string[]> =>
    (await stripe.customers.list({ created: range })).data.map((customer) => customer.id);
  expect(await ids(created)).toEqual([id]);
  expect(await ids({ gte: created, lte: created })).toEqual([id]);
  expect(await ids({ gt: created })).toEqual([]);
  expect(await ids({ lt: created })).toEqual([]);
});

it('metadata is merged key by key, and emptied', async () => {
  const { id } = await stripe.customers.create({ metadata: { a: '1', b: '2', 'c d': '3' } });
  const merged = await stripe.customers.update(id, {
    metadata: { a: '', b: 'two', 0: 'zero', constructor: 'x' },
  });
  expect(merged.metadata).toEqual({ b: 'two', 'c d': '3', 0: 'zero', constructor: 'x' });
  expect((await stripe.customers.update(id, { metadata: { 0: 'nil' } })).metadata['0']).toBe('nil');
  expect((await stripe.customers.update(id, { metadata: '' })).metadata).toEqual({});
});

it('metadata has its limits', async () => {
  const create = (metadata: Stripe.MetadataParam): Promise<unknown> => stripe.customers.create({ metadata });
  const keys = (count: number): Stripe.MetadataParam =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, 'v']));
  await create({ ...keys(49), ['k'.repeat(40)]: 'v'.repeat(500) });
  await expect(create(keys(51))).rejects.toMatchObject({ statusCode: 400, param: 'metadata' });
  await expect(create({ ['k'.repeat(41)]: 'v' })).rejects.toMatchObject({ statusCode: 400 });
  await expect(create({ k: 'v'.repeat(501) })).rejects.toMatchObject({ param: 'metadata[k]' });
});

it('a price has its amount in minor units and its recurrence', async () => {
  const { product, price } = await createPlan();
  expect(price).toMatchObject({
    active: true,
    currency: 'eur',
    unit_amount: 4900,
    type: 'recurring',
    product: product.id,
    recurring: { interval: 'month', interval_count: 1, meter: null, usage_type: 'licensed' },
  });
  expect(price.unit_amount_decimal?.toString()).toBe('4900');
  const oneTime = await stripe.prices.create({ product: product.id, currency: 'eur', unit_amount: 0 });
  expect(oneTime).toMatchObject({ type: 'one_time', recurring: null, unit_amount: 0 });
});

it('a metered price needs a meter that is there', async () => {
  const { product } = await createPlan();
  const create = (recurring: Stripe.PriceCreateParams.Recurring): Promise<unknown> =>
    stripe.prices.create({ product: product.id, currency: 'eur', unit_amount: 1, recurring });
  await expect(create({ interval: 'month', usage_type: 'metered' })).rejects.toMatchObject({
    param: 'recurring[meter]',
  });
  const none = create({ interval: 'month', usage_type: 'metered', meter: 'mtr_none' });
  await expect(none).rejects.toMatchObject({ code: 'resource_missing', param: 'recurring[meter]' });
});

it('a lookup key belongs to one price, and moves when asked', async () => {
  const { product, price } = await createPlan();
  const next = { product: product.id, currency: 'eur', unit_amount: 5900, lookup_key: 'team-monthly' };
  await expect(stripe.prices.create(next)).rejects.toMatchObject({ statusCode: 400, param: 'lookup_key' });
  const moved = await stripe.prices.create({ ...next, transfer_lookup_key: true });
  expect(await stripe.prices.retrieve(price.id)).toMatchObject({ lookup_key: null });
  const found = await stripe.prices.list({ lookup_keys: ['team-monthly', 'other'] });
  expect(found.data.map(({ id }) => id)).toEqual([moved.id]);
});

it('prices are found by what they are', async () => {
  const { product, price } = await createPlan();
  const old = await stripe.prices.create({
    product: product.id,
    currency: 'usd',
    unit_amount: 1,
    active: false,
  });
  const ids = async (params: Stripe.PriceListParams): Promise<string[]> =>
    (await stripe.prices.list(params)).data.map(({ id }) => id);
  expect(await ids({ product: product.id })).toEqual([old.id, price.id]);
  expect(await ids({ active: true })).toEqual([price.id]);
  expect(await ids({ currency: 'usd' })).toEqual([old.id]);
  expect(await ids({ type: 'recurring', recurring: { interval: 'month' } })).toEqual([price.id]);
  expect(await ids({ recurring: { interval: 'year' } })).toEqual([]);
});

it('a default price cannot be archived, nor a product with prices deleted', async () => {
  const { product, price } = await createPlan();
  await stripe.products.update(product.id, { default_price: price.id });
  await expect(stripe.prices.update(price.id, { active: false })).rejects.toMatchObject({ statusCode: 400 });
  await expect(stripe.products.del(product.id)).rejects.toMatchObject({ statusCode: 400 });
  await stripe.products.update(product.id, { default_price: '' });
  expect(await stripe.prices.update(price.id, { active: false })).toMatchObject({
    active: false,
    unit_amount: 4900,
  });
});

it('expand brings objects, in lists and through several of them', async () => {
  const { product, price } = await createPlan();
  await stripe.products.update(product.id, { default_price: price.id });
  const one = await stripe.products.retrieve(product.id, { expand: ['default_price.product.default_price'] });
  expect(one.default_price).toMatchObject({
    id: price.id,
    product: { id: product.id, default_price: { id: price.id } },
  });
  const list = await stripe.products.list({ expand: ['data.default_price'] });
  expect(list.data[0]?.default_price).toMatchObject({
    object: 'price',
    unit_amount: 4900,
    product: product.id,
  });
  const created = await stripe.prices.create({
    product: product.id,
    currency: 'eur',
    unit_amount: 1,
    expand: ['product'],
  });
  expect(created.product).toMatchObject({ name: 'Team' });
  const plain = await stripe.products.create({ name: 'No price', expand: ['default_price'] });
  expect(plain.default_price).toBeNull();
});

it('a list that only expand brings is left out without it', async () => {
  const { id } = await stripe.customers.create();
  expect(await stripe.customers.retrieve(id)).not.toHaveProperty('subscriptions');
  const expanded = await stripe.customers.retrieve(id, { expand: ['subscriptions', 'test_clock'] });
  expect(expanded).toMatchObject({
    subscriptions: { object: 'list', data: [], has_more: false },
    test_clock: null,
  });
});

it('what cannot be expanded is 400, and what asked for it is undone', async () => {
  for (const path of ['name', 'nothing', 'metadata.a', 'balance', 'data.test_clock'])
    await expect(stripe.customers.create({ expand: [path] }), path).rejects.toMatchObject({
      statusCode: 400,
      param: 'expand',
    });
  expect((await stripe.customers.list()).data).toEqual([]);
  await expect(stripe.products.list({ expand: ['default_price'] })).rejects.toMatchObject({
    message: expect.stringContaining("'data.default_price'"),
  });
});

it('each change has its event, with what was there before', async () => {
  const { id } = await stripe.customers.create({ name: 'Old', metadata: { a: '1', b: '2' } });
  const key = { idempotencyKey: 'change-1' };
  const changed = await stripe.customers.update(id, { name: 'New', metadata: { a: 'one', c: '3' } }, key);
  await stripe.customers.update(id, { name: 'New' });
  expect(await eventTypes()).toEqual(['customer.updated', 'customer.created']);
  const [event] = (await stripe.events.list({ types: ['customer.updated', 'price.updated'] })).data;
  expect(event).toMatchObject({
    object: 'event',
    api_version: Stripe.API_VERSION,
    pending_webhooks: 0,
    request: { id: changed.lastResponse.requestId, idempotency_key: 'change-1' },
    data: { previous_attributes: { name: 'Old', metadata: { a: '1', c: null } } },
  });
  expect(event?.data.object).toEqual(changed);
  expect(await stripe.events.retrieve(event?.id ?? '')).toEqual(event);
});

it('an event keeps the object as it was then', async () => {
  const { id } = await stripe.customers.create({ name: 'Old' });
  await stripe.customers.update(id, { name: 'New' });
  const [created] = (await stripe.events.list({ type: 'customer.created' })).data;
  expect(created?.data.object).toMatchObject({ name: 'Old' });
});

it('events are listed by type, time and delivery', async () => {
  await createPlan();
  expect((await stripe.events.list({ type: 'price.*' })).data).toHaveLength(1);
  expect((await stripe.events.list({ delivery_success: true })).data).toHaveLength(2);
  expect((await stripe.events.list({ delivery_success: false })).data).toHaveLength(0);
  const later = Math.floor(Date.now() / 1000) + 60;
  expect((await stripe.events.list({ created: { gte: later } })).data).toHaveLength(0);
});

it('those who listen hear each new event once, when it can be read', async () => {
  const heard: string[] = [];
  test.server.standIn.onEvents((events) => {
    for (const { id, type } of events)
      heard.push(`${type} ${String(test.server.standIn.store.get('event', id)?.id === id)}`);
  });
  await createPlan();
  await expect(stripe.products.create({ name: '' })).rejects.toThrow();
  expect(heard).toEqual(['product.created true', 'price.created true']);
});

it('a customer of a test clock lives in its time, and is listed only for it', async () => {
  const clock: Stripe.TestHelpers.TestClock = {
    id: 'clock_1',
    object: 'test_helpers.test_clock',
    created: 1_700_000_000,
    deletes_after: 1_800_000_000,
    frozen_time: 1_600_000_000,
    livemode: false,
    name: null,
    status: 'ready',
    status_details: {},
  };
  test.server.standIn.perform(null, ({ store }) => store.put(clock));
  const { id, created } = await stripe.customers.create({ test_clock: 'clock_1', expand: ['test_clock'] });
  expect(created).toBe(1_600_000_000);
  expect((await stripe.customers.list()).data).toEqual([]);
  expect((await stripe.customers.list({ test_clock: 'clock_1' })).data.map((one) => one.id)).toEqual([id]);
  await expect(stripe.customers.create({ test_clock: 'clock_2' })).rejects.toMatchObject({
    param: 'test_clock',
  });
});
