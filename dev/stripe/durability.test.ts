import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';

let test: TestStripe;

beforeEach(async () => {
  test = await startTestStripe();
});
afterEach(() => test.close());

const logPath = (): string => path.join(test.folder, 'stripe.jsonl');

it('objects, their order, what was deleted and exact amounts survive restarts', async () => {
  const { stripe } = test;
  const product = await stripe.products.create({ name: 'Team' });
  const price = await stripe.prices.create({
    product: product.id,
    currency: 'usd',
    unit_amount_decimal: '0.5' as never,
  });
  for (const name of ['a', 'b', 'c'])
    await stripe.customers.create({ name, metadata: { spare_decimal: name } });
  const gone = await stripe.customers.create({ name: 'gone' });
  await stripe.customers.del(gone.id);
  const before = await stripe.customers.list();
  for (let round = 0; round < 2; round += 1) {
    await test.restart();
    expect((await test.stripe.customers.list()).data).toEqual(before.data);
    expect(await test.stripe.customers.retrieve(gone.id)).toMatchObject({ id: gone.id, deleted: true });
    const again = await test.stripe.prices.retrieve(price.id, { expand: ['product'] });
    expect(again.unit_amount).toBeNull();
    expect(again.unit_amount_decimal?.toString()).toBe('0.5');
    expect(again.product).toMatchObject({ name: 'Team' });
  }
  expect((await test.stripe.events.list({ type: 'customer.deleted' })).data).toHaveLength(1);
});

it('a product that was deleted and made again is there after restarts', async () => {
  await test.stripe.products.create({ id: 'prod_a', name: 'First' });
  await test.stripe.products.del('prod_a');
  await test.stripe.products.create({ id: 'prod_a', name: 'Second' });
  await test.restart();
  await test.restart();
  expect((await test.stripe.products.retrieve('prod_a')).name).toBe('Second');
});

it('a line that was half written is dropped with its event, the ones before stay', async () => {
  const kept = await test.stripe.customers.create({ name: 'kept' });
  const lost = await test.stripe.customers.create({ name: 'lost' });
  await test.restart(() => {
    const log = readFileSync(logPath());
    const lines = log.toString('utf8').trimEnd().split('\n');
    writeFileSync(logPath(), log.subarray(0, log.length - Math.ceil((lines.at(-1)?.length ?? 0) / 2)));
  });
  expect((await test.stripe.customers.list()).data.map(({ id }) => id)).toEqual([kept.id]);
  await expect(test.stripe.customers.retrieve(lost.id)).rejects.toMatchObject({ statusCode: 404 });
  const events = await test.stripe.events.list();
  expect(events.data.map(({ data }) => data.object)).toEqual([expect.objectContaining({ id: kept.id })]);
});

it('a broken line in the middle stops the start, rather than being lost silently', async () => {
  await test.server.close();
  appendFileSync(logPath(), '{"not":"mine"}\n');
  await expect(test.restart()).rejects.toThrow('is damaged');
  writeFileSync(logPath(), '');
  await test.restart();
});

it('a change and its event are one line of the file', async () => {
  await test.stripe.customers.create({ name: 'one' });
  const lines = readFileSync(logPath(), 'utf8').trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  const kinds = JSON.parse(lines[0] ?? '').map(
    ([what, object]: [string, { object?: string }]) => object.object ?? what,
  );
  expect(kinds).toEqual(['customer', 'event', 'note']);
});
