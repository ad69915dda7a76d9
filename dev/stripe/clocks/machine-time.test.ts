import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DAY, HOUR, START, createPlans, itemOf } from '../test-billing.ts';
import { startTestStripe } from '../test-stripe.ts';
import type { TestStripe } from '../test-stripe.ts';

let test: TestStripe;
let seconds: number;

beforeEach(async () => {
  seconds = START;
  test = await startTestStripe({ now: () => seconds * 1000 });
});
afterEach(() => test.close());

/** A customer without a test clock, with a subscription. */
async function subscribe(): Promise<{ id: string; customer: string }> {
  const { team } = await createPlans(test);
  const customer = await test.stripe.customers.create({
    payment_method: 'pm_card_visa',
    invoice_settings: { default_payment_method: 'pm_card_visa' },
  });
  const { id } = await test.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: team.id }],
  });
  return { id, customer: customer.id };
}

const runDue = async (): Promise<unknown> => (await test.ask('POST', '/_stand-in/run-due')).json();

it('customers without a test clock live in the time of the machine', async () => {
  const { id } = await subscribe();
  seconds = START + 28 * DAY + 10;
  await runDue();
  const renewed = await test.stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] });
  expect(itemOf(renewed).current_period_start).toBe(START + 28 * DAY);
  expect(renewed.latest_invoice).toMatchObject({ status: 'draft', created: seconds });
  seconds += HOUR;
  expect(await runDue()).toEqual({ done: 1 });
  expect((await test.stripe.invoices.list({ subscription: id, status: 'paid' })).data).toHaveLength(2);
  expect(await runDue()).toEqual({ done: 0 });
});

it('a timer sees to it without being asked', async () => {
  const { id } = await subscribe();
  seconds = START + 28 * DAY;
  await vi.waitFor(
    async () => {
      const { data } = await test.stripe.invoices.list({ subscription: id });
      expect(data).toHaveLength(2);
    },
    { timeout: 10_000, interval: 100 },
  );
});

it('what was due while it was down is done when it starts', async () => {
  const { id } = await subscribe();
  await test.restart(() => {
    seconds = START + 60 * DAY;
  });
  const { data } = await test.stripe.invoices.list({ subscription: id });
  expect(data.map(({ period_end }) => period_end)).toEqual([START + 59 * DAY, START + 28 * DAY, START]);
});

it('a session that nobody completes expires', async () => {
  const { team } = await createPlans(test);
  const session = await test.stripe.checkout.sessions.create({
    mode: 'subscription',
    line_items: [{ price: team.id }],
    success_url: 'http://localhost:7071/done',
  });
  seconds += DAY;
  await runDue();
  expect(await test.stripe.checkout.sessions.retrieve(session.id)).toMatchObject({ status: 'expired' });
});

it('what fails is logged once and left alone, and the rest is done', async () => {
  const { id } = await subscribe();
  const other = await subscribe();
  // A defect that no request can make: the customer is gone, the subscription is not.
  test.server.standIn.perform(null, ({ store }) => {
    store.remove('customer', other.customer);
  });
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  seconds = START + 28 * DAY;
  await vi.waitFor(
    async () => {
      expect((await test.stripe.invoices.list({ subscription: id })).data).toHaveLength(2);
    },
    { timeout: 10_000, interval: 100 },
  );
  expect(log.mock.calls.length).toBeGreaterThan(0);
});
