import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { DAY, HOUR, START, advance, createClocked, createPlans, idIn } from '../test-billing.ts';
import { startTestStripe } from '../test-stripe.ts';
import type { TestStripe } from '../test-stripe.ts';

let test: TestStripe;
let stripe: Stripe;

beforeAll(async () => {
  test = await startTestStripe();
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(() => test.ask('POST', '/_stand-in/reset'));

const item = (customer: string, amount: number, more: object = {}): Promise<Stripe.InvoiceItem> =>
  stripe.invoiceItems.create({ customer, amount, currency: 'eur', description: 'Work', ...more });

it('an invoice of one-off items is a draft until it is finalised, and then it is paid', async () => {
  const { customer } = await createClocked(test);
  await item(customer.id, 5000, { quantity: 2, metadata: { task: '1' } });
  const draft = await stripe.invoices.create({
    customer: customer.id,
    currency: 'eur',
    pending_invoice_items_behavior: 'include',
    metadata: { a: 'b' },
  });
  expect(draft).toMatchObject({
    status: 'draft',
    billing_reason: 'manual',
    auto_advance: false,
    total: 10_000,
    parent: null,
    lines: { data: [{ amount: 10_000, parent: { type: 'invoice_item_details' }, metadata: { task: '1' } }] },
  });
  const more = await item(customer.id, 100, { invoice: draft.id });
  expect(await stripe.invoices.retrieve(draft.id)).toMatchObject({ total: 10_100 });
  await stripe.invoiceItems.del(more.id);
  expect(await stripe.invoices.retrieve(draft.id)).toMatchObject({ total: 10_000 });
  expect((await stripe.invoices.listLineItems(draft.id)).data).toHaveLength(1);
  const open = await stripe.invoices.finalizeInvoice(draft.id);
  expect(open).toMatchObject({
    status: 'open',
    number: `${customer.invoice_prefix}-0001`,
    amount_due: 10_000,
  });
  await expect(stripe.invoices.finalizeInvoice(draft.id)).rejects.toMatchObject({
    code: 'invoice_not_editable',
  });
  await expect(stripe.invoices.del(draft.id)).rejects.toMatchObject({ statusCode: 400 });
  expect(await stripe.invoices.pay(draft.id)).toMatchObject({ status: 'paid', amount_paid: 10_000 });
  await expect(stripe.invoices.pay(draft.id)).rejects.toMatchObject({ message: 'Invoice is already paid' });
  const [payment] = (await stripe.invoicePayments.list({ invoice: draft.id, status: 'paid' })).data;
  const intent = idIn(payment?.payment.payment_intent ?? null);
  const byIntent = await stripe.invoicePayments.list({
    payment: { type: 'payment_intent', payment_intent: intent },
  });
  expect(byIntent.data.map(({ invoice }) => invoice)).toEqual([draft.id]);
});

it('one that goes its way by itself is finalised after an hour', async () => {
  const { customer, clock } = await createClocked(test);
  await item(customer.id, 700);
  const { id } = await stripe.invoices.create({
    customer: customer.id,
    currency: 'eur',
    pending_invoice_items_behavior: 'include',
    auto_advance: true,
  });
  await advance(test, clock, START + HOUR);
  expect(await stripe.invoices.retrieve(id)).toMatchObject({ status: 'paid', total: 700 });
});

it('a payment that is declined keeps the attempt, and another card pays', async () => {
  const { customer } = await createClocked(test, { card: 'pm_card_chargeCustomerFail' });
  await item(customer.id, 700);
  const { id } = await stripe.invoices.create({
    customer: customer.id,
    currency: 'eur',
    pending_invoice_items_behavior: 'include',
  });
  await expect(stripe.invoices.pay(id)).rejects.toMatchObject({ statusCode: 402, code: 'card_declined' });
  expect(await stripe.invoices.retrieve(id)).toMatchObject({
    status: 'open',
    attempt_count: 1,
    attempted: true,
  });
  expect((await stripe.events.list({ type: 'invoice.payment_failed' })).data).toHaveLength(1);
  expect(await stripe.invoices.pay(id, { payment_method: 'pm_card_visa' })).toMatchObject({ status: 'paid' });
});

it('what is too little for a card waits in the balance of its customer', async () => {
  const { customer } = await createClocked(test);
  const bill = async (amount: number): Promise<Stripe.Invoice> => {
    await item(customer.id, amount);
    const draft = await stripe.invoices.create({
      customer: customer.id,
      currency: 'eur',
      pending_invoice_items_behavior: 'include',
    });
    return stripe.invoices.finalizeInvoice(draft.id);
  };
  expect(await bill(30)).toMatchObject({ status: 'paid', total: 30, amount_due: 0, ending_balance: 30 });
  expect(await bill(70)).toMatchObject({ status: 'open', total: 70, amount_due: 100, starting_balance: 30 });
  expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ balance: 0 });
});

it('invoices are listed by what they are', async () => {
  const { customer } = await createClocked(test);
  const { team } = await createPlans(test);
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: team.id }] });
  await item(customer.id, 700);
  const draft = await stripe.invoices.create({ customer: customer.id, currency: 'eur' });
  const ids = async (params: Stripe.InvoiceListParams): Promise<string[]> =>
    (await stripe.invoices.list(params)).data.map((invoice) => invoice.id);
  const [, first = ''] = await ids({ customer: customer.id });
  expect(await ids({ subscription: id })).toEqual([first]);
  expect(await ids({ status: 'draft' })).toEqual([draft.id]);
  expect(await ids({ created: { gt: START } })).toEqual([]);
  expect(await ids({ customer: customer.id, created: { gte: START, lt: START + DAY } })).toEqual([
    draft.id,
    first,
  ]);
  expect((await stripe.events.list({ type: 'invoice.*' })).data.length).toBeGreaterThan(4);
});

it('a draft without a subscription can be deleted', async () => {
  const { customer } = await createClocked(test);
  await item(customer.id, 700);
  const draft = await stripe.invoices.create({
    customer: customer.id,
    currency: 'eur',
    pending_invoice_items_behavior: 'include',
  });
  expect(await stripe.invoices.update(draft.id, { description: 'Thanks', auto_advance: true })).toMatchObject(
    {
      description: 'Thanks',
      automatically_finalizes_at: START + HOUR,
    },
  );
  expect(await stripe.invoices.del(draft.id)).toEqual({ id: draft.id, object: 'invoice', deleted: true });
  await expect(stripe.invoices.retrieve(draft.id)).rejects.toMatchObject({ statusCode: 404 });
});

it('a customer pays in one currency', async () => {
  const { customer } = await createClocked(test);
  const { team } = await createPlans(test);
  await stripe.subscriptions.create({ customer: customer.id, items: [{ price: team.id }] });
  const product = await stripe.products.create({ name: 'Dollars' });
  const price = await stripe.prices.create({
    product: product.id,
    currency: 'usd',
    unit_amount: 1,
    recurring: { interval: 'month' },
  });
  const other = stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await expect(other).rejects.toMatchObject({
    message: expect.stringContaining('cannot combine currencies'),
  });
});
