import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { usageOf } from './meters/usage.ts';
import type { MeterError } from './meters/usage.ts';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let test: TestStripe;
let stripe: Stripe;
let customer: string;
let now = Date.now();

beforeAll(async () => {
  test = await startTestStripe({ now: () => now });
});
afterAll(() => test.close());
beforeEach(async () => {
  // The middle of an hour of a day, so that times around it lie in known windows.
  now = Date.UTC(2026, 10, 26, 12, 30);
  await test.ask('POST', '/_stand-in/reset');
  ({ stripe } = test);
  customer = (await stripe.customers.create({ name: 'Globex' })).id;
});

const seconds = (): number => Math.floor(now / 1000);

function createMeter(
  formula: string,
  more: Partial<Stripe.Billing.MeterCreateParams> = {},
): Promise<Stripe.Billing.Meter> {
  return stripe.billing.meters.create({
    default_aggregation: { formula },
    display_name: 'Documents',
    event_name: 'documents',
    ...more,
  });
}

function send(
  value: string,
  more: Partial<Stripe.Billing.MeterEventCreateParams> = {},
): Promise<Stripe.Billing.MeterEvent> {
  return stripe.billing.meterEvents.create({
    event_name: 'documents',
    payload: { stripe_customer_id: customer, value },
    ...more,
  });
}

const readUsage = (meter: string, from: number, to: number): string =>
  test.server.standIn.perform(null, (context) => usageOf(context, meter, customer, from, to)).toString();

const readErrors = async (): Promise<MeterError[]> => {
  const answer = await test.ask('GET', '/_stand-in/meter-errors');
  return JSON.parse(await answer.text()).errors;
};

it('a meter is created, renamed, listed, switched off and on again, each with its event', async () => {
  const meter = await createMeter('sum');
  expect(meter.id).toMatch(/^mtr_test_\w{38}$/);
  expect(meter).toMatchObject({
    customer_mapping: { type: 'by_id', event_payload_key: 'stripe_customer_id' },
    value_settings: { event_payload_key: 'value' },
    status: 'active',
  });
  await expect(createMeter('sum')).rejects.toMatchObject({ param: 'event_name' });
  expect(await stripe.billing.meters.update(meter.id, { display_name: 'Papers' })).toMatchObject({
    display_name: 'Papers',
  });
  const off = await stripe.billing.meters.deactivate(meter.id);
  expect(off).toMatchObject({ status: 'inactive', status_transitions: { deactivated_at: seconds() } });
  const other = await createMeter('count');
  await expect(stripe.billing.meters.reactivate(meter.id)).rejects.toMatchObject({ param: 'event_name' });
  await stripe.billing.meters.deactivate(other.id);
  expect(await stripe.billing.meters.reactivate(meter.id)).toMatchObject({
    status: 'active',
    status_transitions: { deactivated_at: null },
  });
  expect((await stripe.billing.meters.list({ status: 'active' })).data.map(({ id }) => id)).toEqual([
    meter.id,
  ]);
  expect(await stripe.billing.meters.retrieve(other.id)).toMatchObject({ status: 'inactive' });
  const types = (await stripe.events.list({ type: 'billing.meter.*' })).data.map(({ type }) => type);
  expect(types.toReversed()).toEqual(
    ['created', 'updated', 'deactivated', 'created', 'deactivated', 'reactivated'].map(
      (what) => `billing.meter.${what}`,
    ),
  );
});

it('a price of an inactive meter is refused', async () => {
  const meter = await createMeter('sum');
  const { id: product } = await stripe.products.create({ name: 'Documents' });
  const create = (): Promise<Stripe.Price> =>
    stripe.prices.create({
      product,
      currency: 'eur',
      unit_amount: 2,
      recurring: { interval: 'month', usage_type: 'metered', meter: meter.id },
    });
  expect((await create()).recurring).toMatchObject({ meter: meter.id, usage_type: 'metered' });
  await stripe.billing.meters.deactivate(meter.id);
  await expect(create()).rejects.toMatchObject({ param: 'recurring[meter]' });
});

it('usage is summed up exactly, of its own customer, from a time until before another, also after a restart', async () => {
  const meter = await createMeter('sum');
  const other = await stripe.customers.create();
  await send('0.1', { timestamp: seconds() - HOUR });
  await send('0.2', { timestamp: seconds() - HOUR });
  await send('5', { timestamp: seconds() });
  await send('7', { payload: { stripe_customer_id: other.id, value: '7' } });
  await send('-1', { timestamp: seconds() });
  expect(readUsage(meter.id, seconds() - DAY, seconds())).toBe('0.3');
  expect(readUsage(meter.id, seconds() - DAY, seconds() + 1)).toBe('4.3');
  expect(readUsage(meter.id, seconds(), seconds() + 1)).toBe('4');
  expect(readUsage(meter.id, 0, 1)).toBe('0');
  await test.restart();
  expect(readUsage(meter.id, seconds() - DAY, seconds() + 1)).toBe('4.3');
});

it('a meter that counts needs no value; one that takes the last takes the latest, and of those the last received', async () => {
  const count = await createMeter('count');
  await stripe.billing.meterEvents.create({
    event_name: 'documents',
    payload: { stripe_customer_id: customer },
  });
  await send('100');
  expect(readUsage(count.id, 0, seconds() + 1)).toBe('2');
  const last = await createMeter('last', { event_name: 'seats' });
  for (const [value, age] of [
    ['5', 10],
    ['9', 0],
    ['8', 0],
    ['1', 20],
  ] as const)
    await send(value, { event_name: 'seats', timestamp: seconds() - age });
  expect(readUsage(last.id, 0, seconds() + 1)).toBe('8');
  expect(readUsage(last.id, 0, seconds())).toBe('5');
});

it('the payload is read by the names that the meter says', async () => {
  const meter = await createMeter('sum', {
    customer_mapping: { type: 'by_id', event_payload_key: 'tenant' },
    value_settings: { event_payload_key: 'pages' },
  });
  const event = await send('', { payload: { tenant: customer, pages: '3' }, identifier: 'w1' });
  expect(event).toEqual(
    expect.objectContaining({
      object: 'billing.meter_event',
      identifier: 'w1',
      payload: { tenant: customer, pages: '3' },
      timestamp: seconds(),
    }),
  );
  expect(readUsage(meter.id, 0, seconds() + 1)).toBe('3');
});

it('an identifier is taken once a day, and counts again after that', async () => {
  const meter = await createMeter('sum');
  await send('1', { identifier: 'w1' });
  await expect(send('1', { identifier: 'w1' })).rejects.toMatchObject({
    statusCode: 400,
    rawType: 'invalid_request_error',
    code: undefined,
    message: 'An event already exists with identifier w1.',
  });
  expect((await send('1')).identifier).toMatch(/^\w{32}$/);
  await test.restart();
  ({ stripe } = test);
  await expect(send('1', { identifier: 'w1' })).rejects.toMatchObject({ statusCode: 400 });
  expect(readUsage(meter.id, 0, seconds() + 1)).toBe('2');
  now += DAY * 1000;
  await send('1', { identifier: 'w1' });
  expect(readUsage(meter.id, 0, seconds() + 1)).toBe('3');
});

it('a time is at most 35 days past and 5 minutes ahead', async () => {
  await createMeter('sum');
  await send('1', { timestamp: seconds() - 35 * DAY });
  await send('1', { timestamp: seconds() + 5 * MINUTE });
  await expect(send('1', { timestamp: seconds() - 35 * DAY - 1 })).rejects.toMatchObject({
    code: 'timestamp_too_far_in_past',
  });
  await expect(send('1', { timestamp: seconds() + 5 * MINUTE + 1 })).rejects.toMatchObject({
    code: 'timestamp_in_future',
  });
});

it('a customer of a test clock uses things in its time', async () => {
  const meter = await createMeter('sum');
  const frozen_time = seconds() + 90 * DAY;
  const clock = { id: 'clock_1', object: 'test_helpers.test_clock', created: seconds(), frozen_time };
  test.server.standIn.perform(null, ({ store }) =>
    store.put(clock as unknown as Stripe.TestHelpers.TestClock),
  );
  customer = (await stripe.customers.create({ test_clock: 'clock_1' })).id;
  expect((await send('1')).timestamp).toBe(frozen_time);
  await send('2', { timestamp: frozen_time - DAY });
  await expect(send('2', { timestamp: seconds() })).rejects.toMatchObject({
    code: 'timestamp_too_far_in_past',
  });
  expect(readUsage(meter.id, frozen_time - DAY, frozen_time)).toBe('2');
});

it('what Stripe finds out later is accepted, counts for nothing and is listed', async () => {
  const meter = await createMeter('sum');
  await send('1', { event_name: 'unknown', identifier: 'a' });
  await send('1', { payload: { stripe_customer_id: 'cus_none', value: '1' }, identifier: 'b' });
  await send('1', { payload: { value: '1' }, identifier: 'c' });
  await send('many', { identifier: 'd' });
  await send('1234567890.123456', { identifier: 'e' });
  await stripe.billing.meters.deactivate(meter.id);
  await send('1', { identifier: 'f' });
  await expect(send('1', { identifier: 'a' })).rejects.toMatchObject({ statusCode: 400 });
  expect((await readErrors()).map(({ identifier, code, meter: of }) => [identifier, code, of])).toEqual([
    ['a', 'no_meter', null],
    ['b', 'meter_event_customer_not_found', meter.id],
    ['c', 'meter_event_no_customer_defined', meter.id],
    ['d', 'meter_event_invalid_value', meter.id],
    ['e', 'meter_event_value_too_many_digits', meter.id],
    ['f', 'archived_meter', meter.id],
  ]);
  expect(readUsage(meter.id, 0, seconds() + 1)).toBe('0');
});

it('an event is cancelled within a day, once', async () => {
  const meter = await createMeter('sum');
  const cancel = (identifier: string): Promise<Stripe.Billing.MeterEventAdjustment> =>
    stripe.billing.meterEventAdjustments.create({
      event_name: 'documents',
      type: 'cancel',
      cancel: { identifier },
    });
  await send('1', { identifier: 'a' });
  await send('2', { identifier: 'b' });
  expect(await cancel('a')).toMatchObject({
    object: 'billing.meter_event_adjustment',
    cancel: { identifier: 'a' },
  });
  expect(readUsage(meter.id, 0, seconds() + 1)).toBe('2');
  await expect(cancel('a')).rejects.toMatchObject({ statusCode: 400 });
  await expect(cancel('none')).rejects.toMatchObject({ code: 'resource_missing' });
  now += DAY * 1000;
  await expect(cancel('b')).rejects.toMatchObject({ param: 'cancel[identifier]' });
  expect(readUsage(meter.id, 0, seconds() + 1)).toBe('2');
});

it('summaries are of the whole time or of its hours and days that have usage, the newest first', async () => {
  const meter = await createMeter('sum');
  const hour = Date.UTC(2026, 10, 26, 12) / 1000;
  const day = Date.UTC(2026, 10, 26) / 1000;
  await send('1', { timestamp: hour });
  await send('2', { timestamp: hour + HOUR - 1 - 30 * MINUTE });
  await send('4', { timestamp: hour - 1 });
  await send('8', { timestamp: day - 1 });
  const list = (
    start_time: number,
    end_time: number,
    more: Partial<Stripe.Billing.MeterListEventSummariesParams> = {},
  ): Promise<Stripe.ApiList<Stripe.Billing.MeterEventSummary>> =>
    stripe.billing.meters.listEventSummaries(meter.id, { customer, start_time, end_time, ...more });
  const whole = await list(day - DAY, day + DAY);
  expect(whole.data).toEqual([
    expect.objectContaining({
      object: 'billing.meter_event_summary',
      aggregated_value: 15,
      start_time: day - DAY,
      end_time: day + DAY,
      meter: meter.id,
    }),
  ]);
  const days = await list(day - DAY, day + DAY, { value_grouping_window: 'day' });
  expect(days.data.map(({ start_time, aggregated_value }) => [start_time, aggregated_value])).toEqual([
    [day, 7],
    [day - DAY, 8],
  ]);
  const hours = await stripe.billing.meters
    .listEventSummaries(meter.id, {
      customer,
      start_time: day - HOUR,
      end_time: day + DAY,
      value_grouping_window: 'hour',
      limit: 1,
    })
    .autoPagingToArray({ limit: 10 });
  expect(hours.map(({ start_time, aggregated_value }) => [start_time, aggregated_value])).toEqual([
    [hour, 3],
    [hour - HOUR, 4],
    [day - HOUR, 8],
  ]);
  await expect(list(day + 1, day + DAY)).rejects.toMatchObject({ param: 'start_time' });
  await expect(list(day + MINUTE, day + DAY, { value_grouping_window: 'hour' })).rejects.toMatchObject({
    param: 'start_time',
  });
  await expect(list(day, day)).rejects.toMatchObject({ param: 'end_time' });
});

it('an event that is refused leaves nothing behind', async () => {
  const meter = await createMeter('sum');
  const old = { identifier: 'a', timestamp: seconds() - 36 * DAY };
  await expect(send('1', old)).rejects.toMatchObject({ statusCode: 400 });
  await send('1', { identifier: 'a' });
  expect(readUsage(meter.id, 0, seconds() + 1)).toBe('1');
  expect(await readErrors()).toEqual([]);
});
