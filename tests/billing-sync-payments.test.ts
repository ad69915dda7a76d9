import type Stripe from 'stripe';
import { afterAll, describe, expect, it } from 'vitest';
import {
  DAY,
  START,
  advance,
  cardForm,
  idIn,
  itemOf,
  postForm,
  type Plans,
} from '../dev/stripe/test-billing.ts';
import type { StripeObject } from '../dev/stripe/objects/kinds.ts';
import { openServices } from '../functions/services.ts';
import { isStripeUnavailable } from '../shared/domains/billing/stripe/client.ts';
import { isSyncedType, syncObject, type SyncResult } from '../shared/domains/billing/sync/sync-object.ts';
import { until } from './harness/app.ts';
import { startBillingApp, RETURN_ORIGIN } from './harness/billing-app.ts';
import { makeCustomer, makeTenant, sellPlans } from './harness/stripe-payers.ts';

const billingApp = await startBillingApp({ webhooks: false });
const { app, stripe } = billingApp;
const { billing } = app.admin;
const plans: Plans = await sellPlans(billingApp);
// Another process, as far as billing is concerned: pools and a client of its own.
const other = openServices(app.settings);
afterAll(() => other.close());

const NOW = new Date('2026-03-01T12:00:00Z');
const sync = (type: string, id: unknown, services = app.services): Promise<SyncResult> =>
  syncObject(services, { type, id: String(id) }, NOW);

let made = 0;
async function makePayer(given: Stripe.CustomerCreateParams = {}) {
  const tenant = await makeTenant(billingApp, `pay-${(made += 1)}`);
  const customer = await makeCustomer(billingApp, tenant, given);
  return { tenant, customer: customer.id };
}

const subscribe = (
  customer: string,
  given: Partial<Stripe.SubscriptionCreateParams> = {},
): Promise<Stripe.Subscription> =>
  stripe.stripe.subscriptions.create({ customer, items: [{ price: plans.team.id }], ...given });

/** A tenant that has paid its first month. */
async function makePaid(given: Partial<Stripe.SubscriptionCreateParams> = {}) {
  const payer = await makePayer();
  const subscription = await subscribe(payer.customer, given);
  const invoice = idIn(subscription.latest_invoice);
  const { data } = await stripe.stripe.invoicePayments.list({ invoice });
  const intent = idIn(data[0]?.payment.payment_intent ?? null);
  const { latest_charge } = await stripe.stripe.paymentIntents.retrieve(intent);
  return { ...payer, subscription, invoice, intent, charge: idIn(latest_charge) };
}

const put = (object: object): void =>
  stripe.server.standIn.perform(null, ({ store }) => store.put(object as StripeObject));
const asStored = <T>(object: T): T => JSON.parse(JSON.stringify(object)) as T;

const invoicesOf = (tenant: string) =>
  billing`select * from billing_invoices where tenant_id = ${tenant} order by created_at, invoice_id`;
const paymentsOf = (tenant: string) =>
  billing`select * from billing_payments where tenant_id = ${tenant} order by created_at, payment_id`;
const methodsOf = (tenant: string) =>
  billing`select * from payment_methods where tenant_id = ${tenant} order by card_brand desc`;
const openMismatches = (id: string) =>
  billing`select kind, tenant_id from ops.stripe_mismatches where object_id = ${id} and resolved_at is null`;

describe('an invoice', () => {
  it('has its amounts, lines and payment, and a repetition changes nothing', async () => {
    const coupon = await stripe.stripe.coupons.create({ percent_off: 10, duration: 'once' });
    const paid = await makePaid({ discounts: [{ coupon: coupon.id }] });
    expect(await sync('invoice', paid.invoice)).toEqual({
      outcome: 'written',
      tenantId: paid.tenant,
      mismatches: [],
    });
    const rows = await invoicesOf(paid.tenant);
    expect(rows).toMatchObject([
      {
        status: 'paid',
        billing_reason: 'subscription_create',
        currency: 'EUR',
        subtotal: '4900',
        discount: '490',
        tax: '0',
        total: '4410',
        amount_due: '4410',
        amount_paid: '4410',
        amount_remaining: '0',
        line_items: [{ amount: 4900, quantity: 1, stripe_price_id: plans.team.id, proration: false }],
        stripe_invoice_id: paid.invoice,
        stripe_subscription_id: paid.subscription.id,
        stripe_payment_intent_id: paid.intent,
        invoice_number: expect.any(String),
        paid_at: expect.any(Date),
        hosted_invoice_url: expect.stringContaining('http'),
        version: 1,
      },
    ]);
    const payments = await paymentsOf(paid.tenant);
    expect(payments).toMatchObject([
      { amount: '4410', currency: 'EUR', status: 'succeeded', invoice_id: rows[0]?.['invoice_id'] },
    ]);
    expect(await sync('invoice', paid.invoice)).toMatchObject({ outcome: 'unchanged' });
    expect(await invoicesOf(paid.tenant)).toEqual(rows);
    expect(await paymentsOf(paid.tenant)).toEqual(payments);
  });

  it('names its subscription’s row before that is written', async () => {
    const { tenant, invoice, subscription } = await makePaid();
    await sync('invoice', invoice);
    const [row] = await invoicesOf(tenant);
    await sync('subscription', subscription.id);
    expect(await billing`select subscription_id from user_subscriptions where tenant_id = ${tenant}`).toEqual(
      [{ subscription_id: row?.['subscription_id'] }],
    );
  });

  it('of more lines than an answer shows has all of them', async () => {
    const { tenant, customer } = await makePayer();
    for (let n = 0; n < 23; n += 1)
      await stripe.stripe.invoiceItems.create({ customer, currency: 'eur', amount: 100 + n });
    const { id } = await stripe.stripe.invoices.create({
      customer,
      currency: 'eur',
      pending_invoice_items_behavior: 'include',
    });
    await sync('invoice', id);
    const [row] = await invoicesOf(tenant);
    expect(row).toMatchObject({ status: 'draft', total: String(23 * 100 + (22 * 23) / 2) });
    expect(row?.['line_items']).toHaveLength(23);
    expect(row?.['subscription_id']).toBeNull();
  });

  it('that is deleted as a draft is void', async () => {
    const { tenant, customer } = await makePayer();
    await stripe.stripe.invoiceItems.create({ customer, currency: 'eur', amount: 700 });
    const { id } = await stripe.stripe.invoices.create({
      customer,
      pending_invoice_items_behavior: 'include',
    });
    await sync('invoice', id);
    await stripe.stripe.invoices.del(id);
    expect(await sync('invoice', id)).toMatchObject({ outcome: 'gone', tenantId: tenant });
    expect(await invoicesOf(tenant)).toMatchObject([
      { status: 'void', voided_at: NOW, amount_remaining: '0' },
    ]);
    expect(await sync('invoice', id)).toMatchObject({ outcome: 'gone', tenantId: tenant });
    expect(await sync('invoice', 'in_never')).toMatchObject({ outcome: 'gone', tenantId: undefined });
  });

  it('in a state that this build does not know is neither owed nor paid, and is listed', async () => {
    const { tenant, invoice } = await makePaid();
    put({ ...asStored(await stripe.stripe.invoices.retrieve(invoice)), status: 'escrowed' });
    expect(await sync('invoice', invoice)).toMatchObject({ mismatches: ['unknown_status'] });
    expect(await invoicesOf(tenant)).toMatchObject([{ status: 'draft' }]);
  });

  it('is found by its invoice_payment', async () => {
    const { tenant, invoice } = await makePaid();
    const { data } = await stripe.stripe.invoicePayments.list({ invoice });
    expect(await sync('invoice_payment', data[0]?.id)).toMatchObject({
      outcome: 'written',
      tenantId: tenant,
    });
    expect(await invoicesOf(tenant)).toHaveLength(1);
  });
});

describe('a payment', () => {
  it('is one row, whichever of its objects comes, in any order and twice at once', async () => {
    const { tenant, invoice, intent, charge } = await makePaid();
    const refund = await stripe.stripe.refunds.create({ charge, amount: 900 });
    const refs = [
      ['refund', refund.id],
      ['charge', charge],
      ['payment_intent', intent],
      ['invoice', invoice],
    ] as const;
    await Promise.all(refs.flatMap(([type, id]) => [sync(type, id), sync(type, id, other)]));
    const rows = await paymentsOf(tenant);
    expect(rows).toMatchObject([
      {
        amount: '4900',
        refunded_amount: '900',
        status: 'partially_refunded',
        payment_method_type: 'card',
        card_brand: 'visa',
        card_last_four: '4242',
        stripe_payment_intent_id: intent,
        stripe_charge_id: charge,
        paid_at: expect.any(Date),
        version: 1,
      },
    ]);
    for (const [type, id] of refs) expect(await sync(type, id)).toMatchObject({ outcome: 'unchanged' });
    expect(rows[0]?.['invoice_id']).toBe((await invoicesOf(tenant))[0]?.['invoice_id']);
    await stripe.stripe.refunds.create({ charge });
    await sync('charge', charge);
    expect(await paymentsOf(tenant)).toMatchObject([{ status: 'refunded', refunded_amount: '4900' }]);
  });

  it.each([
    ['won', 'succeeded'],
    ['lost', 'disputed'],
  ])('that is disputed says so, and %s is %s', async (decision, status) => {
    const { tenant, charge } = await makePaid();
    const dispute = (await (await stripe.ask('POST', '/_stand-in/disputes', { charge })).json()) as {
      id: string;
    };
    await sync('dispute', dispute.id);
    expect(await paymentsOf(tenant)).toMatchObject([
      { status: 'disputed', dispute_status: 'needs_response' },
    ]);
    await stripe.ask('POST', `/_stand-in/disputes/${dispute.id}/close`, { status: decision });
    // Any of its objects brings the decision.
    await sync('charge', charge);
    expect(await paymentsOf(tenant)).toMatchObject([{ status, dispute_status: decision }]);
    expect(await sync('dispute', dispute.id)).toMatchObject({ outcome: 'unchanged' });
  });

  it('with an inquiry keeps its money', async () => {
    const { tenant, charge } = await makePaid();
    const dispute = (await (await stripe.ask('POST', '/_stand-in/disputes', { charge })).json()) as {
      id: string;
    };
    put({ ...asStored(await stripe.stripe.disputes.retrieve(dispute.id)), status: 'warning_needs_response' });
    await sync('dispute', dispute.id);
    expect(await paymentsOf(tenant)).toMatchObject([
      { status: 'succeeded', dispute_status: 'warning_needs_response' },
    ]);
  });

  it('that is declined says why, and is paid by the next attempt', async () => {
    const { tenant, customer } = await makePayer({
      payment_method: 'pm_card_chargeCustomerFail',
      invoice_settings: { default_payment_method: 'pm_card_chargeCustomerFail' },
    });
    const { latest_invoice } = await subscribe(customer);
    const invoice = idIn(latest_invoice);
    await sync('invoice', invoice);
    expect(await invoicesOf(tenant)).toMatchObject([{ status: 'open', amount_remaining: '4900' }]);
    expect(await paymentsOf(tenant)).toMatchObject([
      { status: 'failed', failure_code: expect.stringMatching(/decline/), paid_at: null },
    ]);
    // Written again with the same failure, it is not told again.
    await billing`update billing_payments set card_brand = 'other' where tenant_id = ${tenant}`;
    expect(await sync('invoice', invoice)).toMatchObject({ outcome: 'written' });
    await app.services.publisher.drain();
    const good = await stripe.stripe.paymentMethods.attach('pm_card_mastercard', { customer });
    await stripe.stripe.invoices.pay(invoice, { payment_method: good.id });
    await sync('invoice', invoice);
    expect(await invoicesOf(tenant)).toMatchObject([{ status: 'paid', amount_remaining: '0' }]);
    expect(await paymentsOf(tenant)).toMatchObject([
      { status: 'succeeded', failure_code: null, card_brand: 'mastercard' },
    ]);
    const told = await until(
      () => app.admin.core`select action, outcome, details from audit_logs where tenant_id = ${tenant}`,
      (entries) => entries.length > 0,
    );
    expect(told).toMatchObject([
      { action: 'payment.failed', outcome: 'failure', details: { amount: 4900, currency: 'EUR' } },
    ]);
  });

  it('in a state that this build does not know is pending, and is listed', async () => {
    const { tenant, intent } = await makePaid();
    put({ ...asStored(await stripe.stripe.paymentIntents.retrieve(intent)), status: 'levitating' });
    expect(await sync('payment_intent', intent)).toMatchObject({ mismatches: ['unknown_status'] });
    expect(await paymentsOf(tenant)).toMatchObject([{ status: 'pending' }]);
  });

  it('of nobody’s customer, or a charge without an intent, is listed and not written', async () => {
    const stranger = await stripe.stripe.customers.create({ payment_method: 'pm_card_visa' });
    const [method] = (await stripe.stripe.customers.listPaymentMethods(stranger.id)).data;
    const intent = await stripe.stripe.paymentIntents.create({
      amount: 100,
      currency: 'eur',
      customer: stranger.id,
      payment_method: method?.id ?? '',
      confirm: true,
    });
    expect(await sync('payment_intent', intent.id)).toMatchObject({ mismatches: ['unknown_customer'] });
    const charge = asStored(await stripe.stripe.charges.retrieve(idIn(intent.latest_charge)));
    put({ ...charge, payment_intent: null });
    expect(await sync('charge', charge.id)).toMatchObject({ mismatches: ['unreadable'] });
    expect(await openMismatches(charge.id)).toEqual([{ kind: 'unreadable', tenant_id: null }]);
    const rows = await billing`select from billing_payments where stripe_payment_intent_id = ${intent.id}`;
    expect(rows).toEqual([]);
  });

  it.each(['payment_intent', 'charge', 'refund', 'dispute', 'payment_method', 'invoice_payment'])(
    'a %s that Stripe does not have is gone',
    async (type) => {
      expect(await sync(type, 'xx_never')).toEqual({
        outcome: 'gone',
        tenantId: undefined,
        mismatches: [],
      });
    },
  );
});

describe('payment methods', () => {
  it('are those of the customer, with one default, and never a number', async () => {
    const { tenant, customer } = await makePayer();
    const second = await stripe.stripe.paymentMethods.attach('pm_card_mastercard', { customer });
    expect(await sync('payment_method', second.id)).toMatchObject({ outcome: 'written', tenantId: tenant });
    expect(await methodsOf(tenant)).toMatchObject([
      { card_brand: 'visa', card_last_four: '4242', is_default: true, is_active: true },
      { card_brand: 'mastercard', card_last_four: '4444', is_default: false, is_active: true },
    ]);
    expect(JSON.stringify(await methodsOf(tenant))).not.toMatch(/\d{12,}/);
    await stripe.stripe.customers.update(customer, {
      invoice_settings: { default_payment_method: second.id },
    });
    await Promise.all([sync('customer', customer), sync('customer', customer, other)]);
    expect((await methodsOf(tenant)).map((row) => row['is_default'])).toEqual([false, true]);
    expect(await sync('customer', customer)).toMatchObject({ outcome: 'unchanged' });
  });

  it('that are detached become inactive, and come back if they are attached again', async () => {
    const { tenant, customer } = await makePayer();
    await sync('customer', customer);
    const [row] = await methodsOf(tenant);
    const id = String(row?.['stripe_payment_method_id']);
    await stripe.stripe.paymentMethods.detach(id);
    await sync('payment_method', id);
    expect(await methodsOf(tenant)).toMatchObject([{ is_active: false, is_default: false }]);
    expect(await sync('payment_method', id)).toMatchObject({ outcome: 'gone' });
  });

  it('show what the card’s network has changed', async () => {
    const { tenant, customer } = await makePayer();
    await sync('customer', customer);
    const [row] = await methodsOf(tenant);
    const id = String(row?.['stripe_payment_method_id']);
    await stripe.ask('POST', `/_stand-in/payment-methods/${id}/auto-update`, {
      exp_month: 7,
      exp_year: 2041,
    });
    await sync('payment_method', id);
    expect(await methodsOf(tenant)).toMatchObject([{ card_exp_month: 7, card_exp_year: 2041 }]);
  });

  it('a subscription’s own method is the default, as it pays', async () => {
    const { tenant, customer } = await makePayer();
    const own = await stripe.stripe.paymentMethods.attach('pm_card_amex', { customer });
    const { id } = await subscribe(customer, { default_payment_method: own.id });
    await sync('subscription', id);
    const rows = await methodsOf(tenant);
    expect(rows.filter((row) => row['is_default'] === true)).toMatchObject([{ card_brand: 'amex' }]);
    expect(rows).toHaveLength(2);
  });

  it('once no subscription pays with its own one, the customer’s is the default again', async () => {
    const { tenant, customer } = await makePayer();
    const own = await stripe.stripe.paymentMethods.attach('pm_card_amex', { customer });
    const defaults = async () =>
      (await methodsOf(tenant)).filter((row) => row['is_default'] === true).map((row) => row['card_brand']);
    const { id } = await subscribe(customer, { default_payment_method: own.id });
    await sync('subscription', id);
    expect(await defaults()).toEqual(['amex']);
    await stripe.stripe.subscriptions.cancel(id);
    await sync('subscription', id);
    expect(await defaults()).toEqual(['visa']);
    expect(await sync('subscription', id)).toMatchObject({ outcome: 'unchanged' });
  });
});

describe('a customer', () => {
  it('who is deleted at Stripe has no live subscription and no card, and is listed', async () => {
    const { tenant, customer, subscription, invoice } = await makePaid();
    await sync('subscription', subscription.id);
    await sync('customer', customer);
    await sync('invoice', invoice);
    await stripe.stripe.customers.del(customer);
    expect(await sync('customer', customer)).toEqual({
      outcome: 'gone',
      tenantId: tenant,
      mismatches: ['customer_deleted'],
    });
    expect(await billing`select status from user_subscriptions where tenant_id = ${tenant}`).toEqual([
      { status: 'canceled' },
    ]);
    expect(await methodsOf(tenant)).toMatchObject([{ is_active: false }]);
    expect(await openMismatches(customer)).toEqual([{ kind: 'customer_deleted', tenant_id: tenant }]);
    // What it paid stays its tenant's.
    expect(await sync('invoice', invoice)).toMatchObject({ outcome: 'unchanged', tenantId: tenant });
  });

  it('of nobody who is deleted is nothing', async () => {
    const stranger = await stripe.stripe.customers.create({});
    await stripe.stripe.customers.del(stranger.id);
    expect(await sync('customer', stranger.id)).toMatchObject({ outcome: 'gone', mismatches: [] });
  });
});

describe('a checkout', () => {
  const CODE = 'SPRING-10';
  async function makeCheckout(given: { readonly keepsSession: boolean }) {
    const { tenant, customer } = await makePayer();
    const [row] = await billing`
      insert into ops.checkout_sessions (tenant_id, checkout_id, plan_id, billing_cycle, promotional_code, created_at)
      values (${tenant}, gen_random_uuid(), 'starter', 'monthly', ${CODE}, now()) returning checkout_id`;
    const checkoutId = String(row?.['checkout_id']);
    const metadata = { tenant_id: tenant, checkout_id: checkoutId, promotional_code: CODE };
    const session = await stripe.stripe.checkout.sessions.create({
      mode: 'subscription',
      customer,
      client_reference_id: checkoutId,
      line_items: [{ price: plans.team.id, quantity: 1 }],
      success_url: `${RETURN_ORIGIN}/done`,
      cancel_url: `${RETURN_ORIGIN}/plans`,
      metadata,
      subscription_data: { metadata },
    });
    if (given.keepsSession)
      await billing`update ops.checkout_sessions set stripe_session_id = ${session.id} where checkout_id = ${checkoutId}`;
    await billing`insert into promotional_codes (code, discount_type, discount_value, max_uses, current_uses)
      values (${CODE}, 'percentage', 10, 9, 1)
      on conflict (code) do update set current_uses = 1`;
    await billing`insert into promotional_code_usage (tenant_id, code, status, checkout_session_id, reserved_at)
      values (${tenant}, ${CODE}, 'reserved', ${checkoutId}, now())`;
    return { tenant, customer, session, checkoutId };
  }
  const checkoutsOf = (tenant: string) =>
    billing`select status, stripe_session_id from ops.checkout_sessions where tenant_id = ${tenant}`;
  const usesOf = (tenant: string) =>
    billing`select status, subscription_id from promotional_code_usage where tenant_id = ${tenant}`;
  const usesOfCode = async (): Promise<unknown> =>
    (await billing`select current_uses from promotional_codes where code = ${CODE}`)[0]?.['current_uses'];

  it.each([
    ['its session', true],
    ['its own id, as the process died before it kept the session', false],
  ])('that is paid is complete, found by %s; plan and code follow', async (_, keepsSession) => {
    const { tenant, session } = await makeCheckout({ keepsSession });
    await postForm(session.url ?? '', { action: 'pay', email: 'a@b.example', ...cardForm('pays') });
    await Promise.all([sync('checkout.session', session.id), sync('checkout.session', session.id, other)]);
    expect(await checkoutsOf(tenant)).toEqual([{ status: 'complete', stripe_session_id: session.id }]);
    const [subscription] = await billing`
      select subscription_id, plan_id, promotional_code from user_subscriptions where tenant_id = ${tenant}`;
    expect(subscription).toMatchObject({ plan_id: 'starter', promotional_code: CODE });
    expect(await usesOf(tenant)).toEqual([
      { status: 'used', subscription_id: subscription?.['subscription_id'] },
    ]);
    expect(await usesOfCode()).toBe(1);
    expect(await sync('checkout.session', session.id)).toMatchObject({ outcome: 'unchanged' });
  });

  it('whose event is lost settles its code with its subscription', async () => {
    const { tenant, session } = await makeCheckout({ keepsSession: true });
    await postForm(session.url ?? '', { action: 'pay', email: 'a@b.example', ...cardForm('pays') });
    const { subscription } = await stripe.stripe.checkout.sessions.retrieve(session.id);
    await sync('subscription', idIn(subscription));
    expect(await usesOf(tenant)).toMatchObject([{ status: 'used' }]);
    await sync('checkout.session', session.id);
    expect(await usesOfCode()).toBe(1);
  });

  it('that expires gives its code back, once', async () => {
    const { tenant, session } = await makeCheckout({ keepsSession: true });
    expect(await sync('checkout.session', session.id)).toMatchObject({ outcome: 'unchanged' });
    await stripe.stripe.checkout.sessions.expire(session.id);
    await Promise.all([sync('checkout.session', session.id), sync('checkout.session', session.id, other)]);
    expect(await checkoutsOf(tenant)).toMatchObject([{ status: 'expired' }]);
    expect(await usesOf(tenant)).toEqual([]);
    expect(await usesOfCode()).toBe(0);
  });

  it('that this service had given up, and that is paid all the same, is complete', async () => {
    const { tenant, session } = await makeCheckout({ keepsSession: true });
    await billing`update ops.checkout_sessions set status = 'expired' where tenant_id = ${tenant}`;
    await postForm(session.url ?? '', { action: 'pay', email: 'a@b.example', ...cardForm('pays') });
    await sync('checkout.session', session.id);
    expect(await checkoutsOf(tenant)).toMatchObject([{ status: 'complete' }]);
  });
});

describe('a whole year of a tenant', () => {
  const tables = ['user_subscriptions', 'billing_invoices', 'billing_payments', 'payment_methods'] as const;

  /** All rows of a tenant, without what says when and how often they were written. */
  const snapshot = async (tenant: string): Promise<unknown> =>
    Promise.all(
      tables.map(async (table) => {
        const rows = await billing`select * from ${billing(table)} where tenant_id = ${tenant}
          order by created_at, 2`;
        return rows.map(({ version: _v, updated_at: _u, synced_at: _s, ...rest }) => rest);
      }),
    );
  const forget = async (tenant: string): Promise<void> => {
    for (const table of tables) await billing`delete from ${billing(table)} where tenant_id = ${tenant}`;
  };

  it('leaves the same rows as it happens, afterwards, backwards, shuffled and from two processes', async () => {
    const since = Math.floor(Date.now() / 1000) - 60;
    const clock = await stripe.stripe.testHelpers.testClocks.create({ frozen_time: START });
    const { tenant, customer } = await makePayer({ test_clock: clock.id });
    const refsNow = async () => {
      const events = await stripe.stripe.events
        .list({ limit: 100, created: { gte: since } })
        .autoPagingToArray({ limit: 5_000 });
      const refs = new Map<string, { type: string; id: string }>();
      for (const event of events.reverse()) {
        const { object: type, id } = event.data.object as unknown as { object: string; id: string };
        const of = JSON.stringify(event.data.object).includes(customer);
        if (of && isSyncedType(type)) refs.set(`${type} ${id}`, { type, id });
      }
      return [...refs.values()];
    };
    const keepUp = async (): Promise<void> => {
      for (const { type, id } of await refsNow()) await sync(type, id);
    };
    const subscription = await subscribe(customer);
    const { id } = subscription;
    await keepUp();
    await advance(stripe, clock, START + 30 * DAY); // a renewal
    await keepUp();
    const bad = await stripe.stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer });
    await stripe.stripe.customers.update(customer, {
      invoice_settings: { default_payment_method: bad.id },
    });
    await advance(stripe, clock, START + 62 * DAY); // one that fails
    await keepUp();
    expect(await billing`select status from user_subscriptions where tenant_id = ${tenant}`).toEqual([
      { status: 'past_due' },
    ]);
    const good = await stripe.stripe.paymentMethods.attach('pm_card_mastercard', { customer });
    const owed = await stripe.stripe.subscriptions.retrieve(id);
    await stripe.stripe.invoices.pay(idIn(owed.latest_invoice), { payment_method: good.id });
    await stripe.stripe.customers.update(customer, {
      invoice_settings: { default_payment_method: good.id },
    });
    await stripe.stripe.paymentMethods.detach(bad.id);
    await keepUp();
    const item = itemOf(subscription).id;
    await stripe.stripe.subscriptions.update(id, {
      items: [{ id: item, price: plans.business.id }],
      proration_behavior: 'always_invoice',
    });
    await keepUp();
    await stripe.stripe.subscriptions.cancel(id);
    await keepUp();
    const asItHappened = await snapshot(tenant);
    // A method that is detached before anything is known of it leaves no row.
    const withoutDetached = (rows: unknown) =>
      (rows as Record<string, unknown>[][]).map((table) => table.filter((row) => row['is_active'] !== false));
    const refs = await refsNow();
    expect(refs.length).toBeGreaterThan(8);
    const orders = [
      refs,
      refs.toReversed(),
      refs.toSorted((a, b) => (a.id.slice(-4) < b.id.slice(-4) ? -1 : 1)),
    ];
    for (const order of orders) {
      await forget(tenant);
      for (const ref of [...order, ...order.slice(3)]) await sync(ref.type, ref.id);
      expect(withoutDetached(await snapshot(tenant))).toEqual(withoutDetached(asItHappened));
    }
    await forget(tenant);
    await Promise.all(
      refs.flatMap(({ type, id: ref }, n) => [
        sync(type, ref, n % 2 === 0 ? other : app.services),
        sync(type, ref),
      ]),
    );
    expect(withoutDetached(await snapshot(tenant))).toEqual(withoutDetached(asItHappened));
  });
});

describe('Stripe away', () => {
  it.each(['customer', 'invoice', 'payment_intent', 'charge', 'payment_method', 'checkout.session'])(
    'the sync of a %s says so',
    async (type) => {
      const away = { ...app.services, settings: { ...app.settings, STRIPE_API_URL: 'http://127.0.0.1:9' } };
      const failed: unknown = await sync(type, 'xx_1', away).catch((error: unknown) => error);
      expect(isStripeUnavailable(failed)).toBe(true);
    },
  );

  it('in the middle of an invoice leaves whole rows, and the repetition brings the rest', async () => {
    const { tenant, invoice, intent } = await makePaid();
    const hold = (await (
      await stripe.ask('POST', '/_stand-in/holds', { path: `/v1/payment_intents/${intent}`, point: 'before' })
    ).json()) as { id: string };
    const first = sync('invoice', invoice).catch((error: unknown) => error);
    await stripe.ask('GET', `/_stand-in/holds/${hold.id}`);
    await stripe.ask('POST', `/_stand-in/holds/${hold.id}/release`, { how: 'cut' });
    expect(isStripeUnavailable(await first)).toBe(true);
    expect(await invoicesOf(tenant)).toMatchObject([{ status: 'paid' }]);
    expect(await paymentsOf(tenant)).toEqual([]);
    await sync('invoice', invoice);
    expect(await paymentsOf(tenant)).toMatchObject([{ status: 'succeeded' }]);
  });
});

it('another tenant sees none of it', async () => {
  const { tenant, invoice, customer } = await makePaid();
  await sync('invoice', invoice);
  await sync('customer', customer);
  for (const table of ['billing_invoices', 'billing_payments', 'payment_methods']) {
    const read = (as: string) =>
      app.services
        .forTenant(as)
        .billing.transaction((transaction) =>
          transaction.query(`select from ${table} where tenant_id = $1`, [tenant]),
        );
    expect(await read('globex')).toEqual([]);
    expect((await read(tenant)).length).toBeGreaterThan(0);
  }
});
