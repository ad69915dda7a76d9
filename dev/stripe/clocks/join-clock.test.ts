import { afterAll, expect, it } from 'vitest';
import { START, advance, createPlans, DAY } from '../test-billing.ts';
import { startTestStripe } from '../test-stripe.ts';

const test = await startTestStripe();
afterAll(() => test.close());

const join = (customer: string, clock: string): Promise<Response> =>
  test.ask('POST', `/_stand-in/customers/${customer}/test-clock`, { test_clock: clock });

it('a customer whom an app has made can be put on a clock, once and before anything is bought', async () => {
  const { team } = await createPlans(test);
  const payment = {
    payment_method: 'pm_card_visa',
    invoice_settings: { default_payment_method: 'pm_card_visa' },
  };
  const customer = await test.stripe.customers.create(payment);
  const clock = await test.stripe.testHelpers.testClocks.create({ frozen_time: START });
  expect((await join(customer.id, 'clock_of_nobody')).status).toBe(404);
  expect((await join('cus_nobody', clock.id)).status).toBe(404);
  expect(await (await join(customer.id, clock.id)).json()).toMatchObject({ test_clock: clock.id });
  expect((await join(customer.id, clock.id)).status).toBe(400);

  const items = [{ price: team.id }];
  const subscription = await test.stripe.subscriptions.create({ customer: customer.id, items });
  expect(subscription).toMatchObject({ test_clock: clock.id, created: START });
  await advance(test, clock, START + 29 * DAY);
  expect((await test.stripe.invoices.list({ subscription: subscription.id })).data).toHaveLength(2);

  const other = await test.stripe.customers.create(payment);
  await test.stripe.subscriptions.create({ customer: other.id, items });
  expect((await join(other.id, clock.id)).status).toBe(400);
});
