import type Stripe from 'stripe';
import { afterAll, describe, expect, it } from 'vitest';
import { DAY, START, advance, createMetered, idIn, type Plans } from '../dev/stripe/test-billing.ts';
import type { StripeObject } from '../dev/stripe/objects/kinds.ts';
import { openServices } from '../functions/services.ts';
import { isStripeUnavailable } from '../shared/domains/billing/stripe/client.ts';
import { syncObject, type SyncResult } from '../shared/domains/billing/sync/sync-object.ts';
import { until } from './harness/app.ts';
import type { SyncServices } from '../shared/domains/billing/sync/work.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { makeCustomer, makeTenant, sellPlans } from './harness/stripe-payers.ts';

const billingApp = await startBillingApp({ webhooks: false });
const { app, stripe } = billingApp;
const { billing } = app.admin;
const plans: Plans = await sellPlans(billingApp);
// Another process, as far as billing is concerned: pools and a client of its own.
const other = openServices(app.settings);
afterAll(() => other.close());

const NOW = new Date('2026-03-01T12:00:00Z');
const sync = (id: string, services: SyncServices = app.services): Promise<SyncResult> =>
  syncObject(services, { type: 'subscription', id }, NOW);

const rowsOf = (tenant: string) => billing`
  select plan_id, status, stripe_status, billing_cycle, current_period_start, current_period_end, trial_end, stripe_subscription_id,
         stripe_customer_id, stripe_item_id, stripe_price_id, cancel_at_period_end, cancel_at, ended_at, past_due_since, version
    from user_subscriptions where tenant_id = ${tenant} order by created_at, subscription_id`;
const told = async (tenant: string): Promise<number> => {
  const [row] = await billing`select count(*)::int as n from ops.outbox where tenant_id = ${tenant}`;
  return Number(row?.['n']);
};
const openMismatches = (id: string) => billing`
  select kind, object_type, tenant_id, details from ops.stripe_mismatches
   where object_id = ${id} and resolved_at is null order by kind`;

let made = 0;
/** A tenant with a customer who pays with a card. */
async function makePayer(given: Stripe.CustomerCreateParams = {}) {
  const tenant = await makeTenant(billingApp, `sub-${(made += 1)}`);
  const customer = await makeCustomer(billingApp, tenant, given);
  return { tenant, customer: customer.id };
}

const subscribe = (
  customer: string,
  given: Partial<Stripe.SubscriptionCreateParams> = {},
): Promise<Stripe.Subscription> =>
  stripe.stripe.subscriptions.create({ customer, items: [{ price: plans.team.id }], ...given });

/** Puts an object as a newer Stripe would have it. */
const put = (object: object): void =>
  stripe.server.standIn.perform(null, ({ store }) => store.put(object as StripeObject));

const stored = async (id: string): Promise<Stripe.Subscription> =>
  JSON.parse(JSON.stringify(await stripe.stripe.subscriptions.retrieve(id))) as Stripe.Subscription;

describe('a subscription', () => {
  it('is its tenant’s plan, and a repetition changes and tells nothing', async () => {
    const { tenant, customer } = await makePayer();
    const { id, items } = await subscribe(customer);
    expect(await sync(id)).toEqual({ outcome: 'written', tenantId: tenant, mismatches: [] });
    const [item] = items.data;
    const rows = await rowsOf(tenant);
    expect(rows).toEqual([
      {
        plan_id: 'starter',
        status: 'active',
        stripe_status: 'active',
        billing_cycle: 'monthly',
        current_period_start: new Date((item?.current_period_start ?? 0) * 1000),
        current_period_end: new Date((item?.current_period_end ?? 0) * 1000),
        trial_end: null,
        stripe_subscription_id: id,
        stripe_customer_id: customer,
        stripe_item_id: item?.id,
        stripe_price_id: plans.team.id,
        cancel_at_period_end: false,
        cancel_at: null,
        ended_at: null,
        past_due_since: null,
        version: 1,
      },
    ]);
    const before = await told(tenant);
    expect(before).toBeLessThanOrEqual(1);
    expect(await sync(id)).toEqual({ outcome: 'unchanged', tenantId: tenant, mismatches: [] });
    expect(await rowsOf(tenant)).toEqual(rows);
    expect(await told(tenant)).toBeLessThanOrEqual(before);
  });

  it('tells other domains with the commit, and only of what matters to them', async () => {
    const { tenant, customer } = await makePayer();
    const { id } = await subscribe(customer);
    const published: unknown[] = [];
    const services = {
      ...app.services,
      publisher: { publish: (entry: unknown) => void published.push(entry) },
    };
    await syncObject(services, { type: 'subscription', id }, NOW);
    expect(published).toMatchObject([
      { database: 'billing', tenantId: tenant, events: [{ data: { tenant_id: tenant } }] },
    ]);
    const outbox = await billing`select tenant_id, events from ops.outbox where tenant_id = ${tenant}`;
    expect(outbox).toMatchObject([{ events: [{ type: 'com.comply-ai.billing.changed.v1' }] }]);
    await stripe.stripe.subscriptions.update(id, { cancel_at_period_end: true });
    expect((await syncObject(services, { type: 'subscription', id }, NOW)).outcome).toBe('written');
    expect(published).toHaveLength(1);
    await stripe.stripe.subscriptions.cancel(id);
    await syncObject(services, { type: 'subscription', id }, NOW);
    expect(published).toHaveLength(2);
    expect(await rowsOf(tenant)).toMatchObject([{ status: 'canceled', ended_at: expect.any(Date) }]);
  });

  it('is one row from two processes at once, and is told once', async () => {
    const { tenant, customer } = await makePayer();
    const { id } = await subscribe(customer);
    const published: unknown[] = [];
    const publisher = { publish: (entry: unknown) => void published.push(entry) };
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, n) => sync(id, { ...(n % 2 === 0 ? app.services : other), publisher })),
    );
    expect(results.filter(({ outcome }) => outcome === 'written')).toHaveLength(1);
    expect(await rowsOf(tenant)).toMatchObject([{ status: 'active', version: 1 }]);
    expect(published).toHaveLength(1);
  });

  it('ends as what Stripe says last, also if processes change and sync it at once', async () => {
    const { tenant, customer } = await makePayer();
    const { id, items } = await subscribe(customer);
    await Promise.all([
      sync(id),
      stripe.stripe.subscriptions
        .update(id, { items: [{ id: items.data[0]?.id ?? '', price: plans.business.id }] })
        .then(() => Promise.all([sync(id), sync(id, other)])),
      sync(id, other),
    ]);
    expect(await rowsOf(tenant)).toMatchObject([{ plan_id: 'professional' }]);
  });

  it('is billed yearly at the yearly price, and its metered items are not its plan', async () => {
    const yearly = await makePayer();
    const year = await subscribe(yearly.customer, { items: [{ price: plans.teamYearly.id }] });
    await sync(year.id);
    expect(await rowsOf(yearly.tenant)).toMatchObject([{ plan_id: 'starter', billing_cycle: 'yearly' }]);
    const metered = await createMetered(stripe);
    const { tenant, customer } = await makePayer();
    const items = [{ price: metered.id }, { price: plans.business.id }];
    await sync((await subscribe(customer, { items })).id);
    expect(await rowsOf(tenant)).toMatchObject([
      { plan_id: 'professional', stripe_price_id: plans.business.id },
    ]);
  });

  it('in a trial says until when, and one that is to end says when', async () => {
    const { tenant, customer } = await makePayer();
    const { id, trial_end } = await subscribe(customer, {
      trial_period_days: 14,
      cancel_at_period_end: true,
    });
    await sync(id);
    expect(await rowsOf(tenant)).toMatchObject([
      {
        status: 'trialing',
        trial_end: new Date((trial_end ?? 0) * 1000),
        cancel_at_period_end: true,
        cancel_at: expect.any(Date),
      },
    ]);
  });

  it('that is gone at Stripe is canceled; one that was never known is nothing', async () => {
    const { tenant, customer } = await makePayer();
    const { id } = await subscribe(customer);
    await sync(id);
    stripe.server.standIn.perform(null, ({ store }) => store.remove('subscription', id));
    expect(await sync(id)).toMatchObject({ outcome: 'gone', tenantId: tenant });
    const rows = await rowsOf(tenant);
    expect(rows).toMatchObject([{ status: 'canceled', stripe_status: 'canceled', ended_at: NOW }]);
    expect(await sync(id)).toMatchObject({ outcome: 'gone' });
    expect(await rowsOf(tenant)).toEqual(rows);
    expect(await sync('sub_never')).toEqual({ outcome: 'gone', tenantId: undefined, mismatches: [] });
  });
});

describe('what is not known', () => {
  it('a price of no plan gives the least plan, and is listed until a plan has it', async () => {
    const { tenant, customer } = await makePayer();
    const product = await stripe.stripe.products.create({ name: 'Elsewhere' });
    const price = await stripe.stripe.prices.create({
      product: product.id,
      currency: 'eur',
      unit_amount: 100,
      recurring: { interval: 'month' },
    });
    const { id } = await subscribe(customer, { items: [{ price: price.id }] });
    expect(await sync(id)).toEqual({ outcome: 'mismatch', tenantId: tenant, mismatches: ['unknown_price'] });
    await sync(id);
    expect(await rowsOf(tenant)).toMatchObject([{ plan_id: 'free', status: 'active' }]);
    expect(await openMismatches(id)).toEqual([
      {
        kind: 'unknown_price',
        object_type: 'subscription',
        tenant_id: tenant,
        details: { price: price.id },
      },
    ]);
    await billing`update billing_plans set stripe_price_id = ${price.id} where plan_id = 'enterprise'`;
    expect(await sync(id)).toMatchObject({ outcome: 'written', mismatches: [] });
    expect(await rowsOf(tenant)).toMatchObject([{ plan_id: 'enterprise' }]);
    expect(await openMismatches(id)).toEqual([]);
  });

  it('a state that this build does not know counts as incomplete, and Stripe’s word is kept', async () => {
    const { tenant, customer } = await makePayer();
    const { id } = await subscribe(customer);
    put({ ...(await stored(id)), status: 'hibernating' });
    expect(await sync(id)).toMatchObject({ outcome: 'mismatch', mismatches: ['unknown_status'] });
    expect(await rowsOf(tenant)).toMatchObject([{ status: 'incomplete', stripe_status: 'hibernating' }]);
    put({ ...(await stored(id)), status: 'active' });
    expect(await sync(id)).toMatchObject({ outcome: 'written', mismatches: [] });
    expect(await openMismatches(id)).toEqual([]);
  });

  it('a subscription without a period is listed, and nothing is written', async () => {
    const { tenant, customer } = await makePayer();
    const { id } = await subscribe(customer);
    const object = await stored(id);
    const [item] = object.items.data;
    put({ ...object, items: { ...object.items, data: [{ ...item, current_period_end: null }] } });
    expect(await sync(id)).toMatchObject({ outcome: 'mismatch', mismatches: ['unreadable'] });
    expect(await rowsOf(tenant)).toEqual([]);
  });
});

describe('whose it is', () => {
  const strange = (metadata: Record<string, string>) =>
    stripe.stripe.customers.create({
      payment_method: 'pm_card_visa',
      invoice_settings: { default_payment_method: 'pm_card_visa' },
      metadata,
    });

  it('a customer that names its tenant, whose row was not written, is that tenant’s', async () => {
    const tenant = await makeTenant(billingApp, 'claimed');
    await billing`insert into ops.stripe_customers (tenant_id) values ('claimed')`;
    const customer = await strange({ tenant_id: tenant });
    const { id } = await subscribe(customer.id);
    const results = await Promise.all([sync(id), sync(id, other)]);
    expect(results.map(({ tenantId }) => tenantId)).toEqual([tenant, tenant]);
    expect(await rowsOf(tenant)).toHaveLength(1);
    expect(
      await billing`select stripe_customer_id from ops.stripe_customers where tenant_id = 'claimed'`,
    ).toEqual([{ stripe_customer_id: customer.id }]);
  });

  it('a customer without a row is claimed too, by two of its objects at once', async () => {
    const tenant = await makeTenant(billingApp, 'claimed-new');
    const customer = await strange({ tenant_id: tenant });
    const { id, latest_invoice: invoice } = await subscribe(customer.id);
    await Promise.all([
      sync(id),
      syncObject(other, { type: 'invoice', id: idIn(invoice) }, NOW),
      syncObject(app.services, { type: 'customer', id: customer.id }, NOW),
    ]);
    expect(await rowsOf(tenant)).toHaveLength(1);
  });

  it.each([
    ['names nobody', {}],
    ['names a tenant that does not exist', { tenant_id: 'nobody' }],
    ['names the platform', { tenant_id: 'platform' }],
  ])('a customer that %s is listed, and nothing of it is written', async (_, metadata) => {
    const customer = await strange(metadata);
    const { id } = await subscribe(customer.id, { metadata: { tenant_id: 'globex' } });
    expect(await sync(id)).toEqual({
      outcome: 'mismatch',
      tenantId: undefined,
      mismatches: ['unknown_customer'],
    });
    await sync(id);
    expect(await openMismatches(id)).toEqual([
      {
        kind: 'unknown_customer',
        object_type: 'subscription',
        tenant_id: null,
        details: { customer: customer.id },
      },
    ]);
    expect(await billing`select from user_subscriptions where stripe_subscription_id = ${id}`).toEqual([]);
  });

  it('a second customer that names a tenant does not become that tenant’s', async () => {
    const { tenant, customer } = await makePayer();
    const own = await subscribe(customer);
    await sync(own.id);
    const second = await strange({ tenant_id: tenant });
    const { id } = await subscribe(second.id, { items: [{ price: plans.business.id }] });
    expect(await sync(id)).toMatchObject({ outcome: 'mismatch', tenantId: undefined });
    expect(await rowsOf(tenant)).toMatchObject([{ plan_id: 'starter', stripe_customer_id: customer }]);
  });

  it('an object of no customer that becomes a tenant’s later is resolved by its next sync', async () => {
    const customer = await strange({});
    const { id } = await subscribe(customer.id);
    await sync(id);
    const tenant = await makeTenant(billingApp, 'late');
    await stripe.stripe.customers.update(customer.id, { metadata: { tenant_id: tenant } });
    expect(await sync(id)).toMatchObject({ outcome: 'written', tenantId: tenant });
    expect(await openMismatches(id)).toEqual([]);
  });
});

describe('one live subscription a tenant', () => {
  it('one that an operator made gives way to one at Stripe', async () => {
    const { tenant, customer } = await makePayer();
    await billing`insert into user_subscriptions (tenant_id, subscription_id, plan_id, status, current_period_start,
        current_period_end) values (${tenant}, gen_random_uuid(), 'enterprise', 'active', now(), now() + interval '1 month')`;
    const { id } = await subscribe(customer);
    expect(await sync(id)).toMatchObject({ outcome: 'written', mismatches: [] });
    const live = () =>
      billing`select plan_id from user_subscriptions where tenant_id = ${tenant} and status = 'active'`;
    expect(await live()).toEqual([{ plan_id: 'starter' }]);
    await stripe.stripe.subscriptions.cancel(id);
    await sync(id);
    expect(await live()).toEqual([]);
  });

  it('but not to one whose first payment is missing', async () => {
    const { tenant, customer } = await makePayer({
      payment_method: 'pm_card_chargeCustomerFail',
      invoice_settings: { default_payment_method: 'pm_card_chargeCustomerFail' },
    });
    await billing`insert into user_subscriptions (tenant_id, subscription_id, plan_id, status, current_period_start,
        current_period_end) values (${tenant}, gen_random_uuid(), 'enterprise', 'active', now(), now() + interval '1 month')`;
    const { id, status } = await subscribe(customer);
    expect(status).toBe('incomplete');
    await sync(id);
    const rows = await rowsOf(tenant);
    expect(rows.filter((row) => row['status'] === 'active')).toMatchObject([{ plan_id: 'enterprise' }]);
    expect(rows.find((row) => row['stripe_subscription_id'] === id)).toMatchObject({
      stripe_status: 'incomplete',
    });
  });

  it.each([
    ['as they began', [0, 1]],
    ['the newer one first', [1, 0]],
  ])('of two at Stripe the older one counts, whichever is synced first: %s', async (_, order) => {
    const clock = await stripe.stripe.testHelpers.testClocks.create({ frozen_time: START });
    const { tenant, customer } = await makePayer({ test_clock: clock.id });
    const older = await subscribe(customer);
    await advance(stripe, clock, START + DAY);
    const newer = await subscribe(customer, { items: [{ price: plans.business.id }] });
    const ids = [older.id, newer.id];
    for (const n of order) await sync(ids[n] ?? '');
    const states = async () =>
      Object.fromEntries(
        (await rowsOf(tenant)).map((row) => [row['plan_id'], [row['status'], row['stripe_status']]]),
      );
    expect(await states()).toEqual({ starter: ['active', 'active'], professional: ['canceled', 'active'] });
    expect(await openMismatches(newer.id)).toMatchObject([
      { kind: 'second_subscription', tenant_id: tenant },
    ]);
    expect(await openMismatches(older.id)).toEqual([]);
    expect(await sync(newer.id)).toMatchObject({ mismatches: ['second_subscription'] });
    // When the older one ends, the newer one counts, without an event of its own.
    await stripe.stripe.subscriptions.cancel(older.id);
    await sync(older.id);
    expect(await states()).toEqual({ starter: ['canceled', 'canceled'], professional: ['active', 'active'] });
    expect(await openMismatches(newer.id)).toEqual([]);
  });

  it('two at once from two processes leave one live', async () => {
    const { tenant, customer } = await makePayer();
    const both = [await subscribe(customer), await subscribe(customer)];
    await Promise.all(both.flatMap(({ id }) => [sync(id), sync(id, other)]));
    const rows = await rowsOf(tenant);
    expect(rows.map((row) => row['status']).sort()).toEqual(['active', 'canceled']);
  });
});

describe('a missing payment', () => {
  it('is dated by Stripe, stays so while it is missing, and is cleared when it is paid', async () => {
    const clock = await stripe.stripe.testHelpers.testClocks.create({ frozen_time: START });
    const { tenant, customer } = await makePayer({ test_clock: clock.id });
    const { id } = await subscribe(customer);
    await sync(id);
    const bad = await stripe.stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer });
    await stripe.stripe.customers.update(customer, {
      invoice_settings: { default_payment_method: bad.id },
    });
    await advance(stripe, clock, START + 29 * DAY);
    expect(await sync(id)).toMatchObject({ outcome: 'written' });
    const [row] = await rowsOf(tenant);
    const since = row?.['past_due_since'] as Date;
    expect(row).toMatchObject({ status: 'past_due', plan_id: 'starter' });
    // The draft of the renewal is finalized after an hour, and declined then.
    expect(since).toEqual(new Date('2026-02-28T11:00:00Z'));
    await advance(stripe, clock, START + 32 * DAY);
    await sync(id);
    expect(await rowsOf(tenant)).toMatchObject([{ past_due_since: since }]);
    const good = await stripe.stripe.paymentMethods.attach('pm_card_visa', { customer });
    const { latest_invoice: invoice } = await stripe.stripe.subscriptions.retrieve(id);
    await stripe.stripe.invoices.pay(idIn(invoice), { payment_method: good.id });
    await sync(id);
    expect(await rowsOf(tenant)).toMatchObject([{ status: 'active', past_due_since: null }]);
  });
});

it('an older answer of Stripe never overwrites a newer one: a second process waits for the first, and fetches then', async () => {
  const { tenant, customer } = await makePayer();
  const { id } = await subscribe(customer);
  const path = `/v1/subscriptions/${id}`;
  const made = await stripe.ask('POST', '/_stand-in/holds', { path, point: 'after' });
  const hold = (await made.json()) as { id: string };
  const slow = sync(id);
  await stripe.ask('GET', `/_stand-in/holds/${hold.id}`);
  // The answer that is on its way says active. From here on that is no longer true.
  await stripe.stripe.subscriptions.cancel(id);
  let isDone = false;
  const fast = sync(id, other).finally(() => (isDone = true));
  await until(
    async () =>
      isDone || (await billing`select from pg_locks where locktype = 'advisory' and not granted`).length > 0,
    (isSettled) => isSettled,
  );
  await stripe.ask('POST', `/_stand-in/holds/${hold.id}/release`, { how: 'go' });
  await Promise.all([slow, fast]);
  expect(await rowsOf(tenant)).toMatchObject([{ status: 'canceled' }]);
});

describe('Stripe away', () => {
  it('nothing is written, and it is said so that the event can come again', async () => {
    const { tenant, customer } = await makePayer();
    const { id } = await subscribe(customer);
    const away = { ...app.services, settings: { ...app.settings, STRIPE_API_URL: 'http://127.0.0.1:9' } };
    const failed: unknown = await sync(id, away).catch((error: unknown) => error);
    expect(isStripeUnavailable(failed)).toBe(true);
    const none = { ...app.services, settings: { ...app.settings, STRIPE_SECRET_KEY: undefined } };
    expect(isStripeUnavailable(await sync(id, none as never).catch((error: unknown) => error))).toBe(true);
    expect(await rowsOf(tenant)).toEqual([]);
    expect(await openMismatches(id)).toEqual([]);
    expect(await sync(id)).toMatchObject({ outcome: 'written' });
  });

  it('an answer that is cut off leaves nothing, and its lock is free again', async () => {
    const { tenant, customer } = await makePayer();
    const { id } = await subscribe(customer);
    const hold = (await (
      await stripe.ask('POST', '/_stand-in/holds', { path: `/v1/subscriptions/${id}`, point: 'after' })
    ).json()) as { id: string };
    const first = sync(id).catch((error: unknown) => error);
    await stripe.ask('GET', `/_stand-in/holds/${hold.id}`);
    const second = sync(id, other);
    await stripe.ask('POST', `/_stand-in/holds/${hold.id}/release`, { how: 'cut' });
    expect(isStripeUnavailable(await first)).toBe(true);
    expect(await second).toMatchObject({ outcome: 'written' });
    expect(await rowsOf(tenant)).toHaveLength(1);
  });
});

it('an object of a type that is not mirrored is ignored, without asking Stripe', async () => {
  const none = { ...app.services, settings: { ...app.settings, STRIPE_SECRET_KEY: undefined } } as never;
  expect(await syncObject(none, { type: 'product', id: 'prod_1' }, NOW)).toEqual({
    outcome: 'ignored',
    tenantId: undefined,
    mismatches: [],
  });
  expect(await syncObject(none, { type: 'toString', id: 'x' }, NOW)).toMatchObject({ outcome: 'ignored' });
});
