import { describe, expect, it } from 'vitest';
import { idIn, postForm } from '../dev/stripe/test-billing.ts';
import { startBillingApp, RETURN_ORIGIN } from './harness/billing-app.ts';
import { addTenant, checkoutOf, customerOf, sellPlans, subscribe } from './harness/billing-tenants.ts';

// What a tenant can do with another tenant's ids, ours and Stripe's, in every place of a request that takes a text.

const billing = await startBillingApp({ webhooks: false });
const { app } = billing;
const { stripe } = billing.stripe;
await sellPlans(billing);
const [victim, thief] = [await addTenant(app, 'victim'), await addTenant(app, 'thief')];
const [victims] = [await subscribe(billing, victim), await subscribe(billing, thief)];
const customer = await customerOf(billing, victim);
const own = await customerOf(billing, thief);

/** Ids of the victim's, from every list, as they are and in another spelling. */
const ids: string[] = [];
for (const [list, name] of [
  ['invoices', 'invoice_id'],
  ['payments', 'payment_id'],
  ['payment-methods', 'payment_method_id'],
] as const)
  for (const item of (await victim.ask('GET', list)).body.items) ids.push(String(item[name]));
const atStripe = [customer, victims.id, idIn(victims.latest_invoice), idIn(victims.default_payment_method)];
const spellings = [...ids, ...atStripe].flatMap((id) => [id, id.toUpperCase(), `{${id}}`]);

const stateOf = async () => ({
  subscription: await stripe.subscriptions.retrieve(victims.id),
  customer: await stripe.customers.retrieve(customer),
  sessions: (await stripe.checkout.sessions.list({ customer })).data,
  invoices: (await stripe.invoices.list({ customer })).data,
  rows: await app.admin.billing`select * from user_subscriptions where tenant_id = 'victim'`,
});

describe('another tenant’s id, whatever its spelling', () => {
  it('opens nothing of that tenant', async () => {
    expect(ids.length).toBeGreaterThanOrEqual(3);
    for (const id of spellings) {
      for (const path of [
        `invoices/${id}`,
        `payments/${id}`,
        `checkout-sessions/${id}`,
        `portal-sessions/${id}`,
      ]) {
        const { status, body } = await thief.ask('GET', encodeURI(path));
        expect([path, [400, 404, 405].includes(status), body.items]).toEqual([path, true, undefined]);
      }
      for (const query of ['invoice_id', 'customer', 'tenant_id', 'subscription_id', 'after', 'cursor']) {
        const { status, body } = await thief.ask('GET', `payments?${query}=${encodeURIComponent(id)}`);
        const shown = status === 200 ? JSON.stringify(body) : '';
        for (const secret of ids) expect([query, shown.includes(secret)]).toEqual([query, false]);
      }
    }
  });

  it('in a body is refused, or touches only the sender’s own', async () => {
    const before = await stateOf();
    for (const id of [...ids, ...atStripe])
      for (const name of ['customer', 'customer_id', 'tenant_id', 'subscription_id', 'subscription', 'id']) {
        const page = await thief.ask('POST', 'portal-sessions', {
          return_url: `${RETURN_ORIGIN}/`,
          [name]: id,
        });
        if (page.status === 201) expect(await (await fetch(page.body.url)).text()).not.toContain(victims.id);
        else expect([400, 403]).toContain(page.status);
        const change = { plan_id: 'starter', billing_cycle: 'monthly', [name]: id };
        expect([200, 400, 403]).toContain(
          (await thief.ask('POST', 'subscription/change/preview', change)).status,
        );
        expect([200, 400, 403]).toContain((await thief.ask('POST', 'subscription/change', change)).status);
        const end = { at: 'period_end', [name]: id };
        expect([200, 400, 403]).toContain((await thief.ask('POST', 'subscription/cancel', end)).status);
      }
    expect(JSON.parse(JSON.stringify(await stateOf()))).toEqual(JSON.parse(JSON.stringify(before)));
  });

  it('as an Idempotency-Key that the other one used does not give the other one’s page', async () => {
    const [one, two] = [await addTenant(app, 'one'), await addTenant(app, 'two')];
    const key = { 'idempotency-key': 'same-key' };
    const first = await one.ask('POST', 'checkout-sessions', checkoutOf('starter'), key);
    const second = await two.ask('POST', 'checkout-sessions', checkoutOf('starter'), key);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body.url).not.toBe(first.body.url);
    expect(second.body.checkout_id).not.toBe(first.body.checkout_id);
    expect(await customerOf(billing, two)).not.toBe(await customerOf(billing, one));
  });

  it('on the portal’s page of the own customer is refused', async () => {
    const before = await stateOf();
    const page = await thief.ask('POST', 'portal-sessions', { return_url: `${RETURN_ORIGIN}/` });
    const sessions = await stripe.subscriptions.list({ customer: own });
    expect(sessions.data).toHaveLength(1);
    for (const id of atStripe)
      for (const action of ['cancel', 'resume', 'change'])
        await postForm(page.body.url, { action, subscription: id, payment_method: id, customer: id });
    expect(JSON.parse(JSON.stringify(await stateOf()))).toEqual(JSON.parse(JSON.stringify(before)));
  });
});
