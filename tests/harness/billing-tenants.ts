import type Stripe from 'stripe';
import { cardForm, postForm } from '../../dev/stripe/test-billing.ts';
import { syncObject } from '../../shared/domains/billing/sync/sync-object.ts';
import { PERMISSION_SETS } from '../../shared/platform/auth/permissions.ts';
import type { TestAnswer, TestApp } from './app.ts';
import { RETURN_ORIGIN, type BillingApp } from './billing-app.ts';

/** An app, and Stripe as the official SDK reaches it. */
export interface BillingScene {
  readonly app: TestApp;
  readonly stripe: { readonly stripe: Stripe };
}

/** What plans cost at Stripe in these tests, in cents. */
const PRICES = {
  starter: { monthly: 2900, yearly: 29_000 },
  professional: { monthly: 9900, yearly: 99_000 },
} as const;

/** A tenant on the free plan, with the key of its owner. */
export interface BillingTenant {
  readonly id: string;
  readonly key: string;
  /** Sends a request below `/api/v1/billing/`. */
  readonly ask: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<TestAnswer>;
}

/** Makes a tenant on the free plan. */
export async function addTenant(app: TestApp, id: string): Promise<BillingTenant> {
  await app.admin.core`insert into tenants (tenant_id, name, plan_id, has_quota)
    values (${id}, ${id}, 'free', true)`;
  const dataKeyId = await app.services.crossTenant.core.transaction((transaction) =>
    app.services.dataKeys.create(transaction, id),
  );
  await app.admin.core`update tenants set data_key_id = ${dataKeyId} where tenant_id = ${id}`;
  const key = await app.makeKey(id, PERMISSION_SETS.owner);
  return {
    id,
    key,
    ask: (method, path, body, headers = {}) =>
      app.request(method, `/api/v1/billing/${path}`, { key, body, headers }),
  };
}

/** The ids of the prices that the plans have at Stripe. */
export type SoldPrices = Record<keyof typeof PRICES, Record<'monthly' | 'yearly', string>>;

/** Gives the plans their prices at Stripe. */
export async function sellPlans({ app, stripe: { stripe } }: BillingScene): Promise<SoldPrices> {
  const price = async (product: string, cents: number, interval: 'month' | 'year'): Promise<string> => {
    const made = await stripe.prices.create({
      product,
      currency: 'usd',
      unit_amount: cents,
      recurring: { interval },
    });
    return made.id;
  };
  const sold: Partial<SoldPrices> = {};
  for (const plan of ['starter', 'professional'] as const) {
    const product = await stripe.products.create({ name: plan });
    const prices = {
      monthly: await price(product.id, PRICES[plan].monthly, 'month'),
      yearly: await price(product.id, PRICES[plan].yearly, 'year'),
    };
    await app.admin.billing`update billing_plans set stripe_product_id = ${product.id},
      stripe_price_id = ${prices.monthly}, stripe_price_id_yearly = ${prices.yearly} where plan_id = ${plan}`;
    sold[plan] = prices;
  }
  return sold as SoldPrices;
}

/** The body of a checkout. */
export function checkoutOf(plan: string, more: object = {}): object {
  return {
    plan_id: plan,
    billing_cycle: 'monthly',
    success_url: `${RETURN_ORIGIN}/paid?session={CHECKOUT_SESSION_ID}`,
    cancel_url: `${RETURN_ORIGIN}/plans`,
    ...more,
  };
}

/** The tenant's customer at Stripe. */
export async function customerOf(
  { app }: Pick<BillingScene, 'app'>,
  tenant: Pick<BillingTenant, 'id'>,
): Promise<string> {
  const [row] = await app.admin
    .billing`select stripe_customer_id from ops.stripe_customers where tenant_id = ${tenant.id}`;
  return String(row?.['stripe_customer_id']);
}

/** Pays on the page of a checkout, and takes in what that leads to. */
export async function payCheckout(
  billing: BillingScene,
  tenant: Pick<BillingTenant, 'id'>,
  url: string,
  card: Parameters<typeof cardForm>[0] = 'pays',
): Promise<Stripe.Subscription> {
  const paid = await postForm(url, { action: 'pay', ...cardForm(card) });
  if (paid.status !== 303 && paid.status !== 302) throw new Error(`not paid: ${paid.status}`);
  return takeIn(billing, tenant);
}

/** Makes the rows of a tenant's newest subscription, and of its invoices, what Stripe says. */
export async function takeIn(
  billing: BillingScene,
  tenant: Pick<BillingTenant, 'id'>,
): Promise<Stripe.Subscription> {
  const { stripe } = billing.stripe;
  const customer = await customerOf(billing, tenant);
  const { services } = billing.app;
  const now = services.clock.now();
  await syncObject(services, { type: 'customer', id: customer }, now);
  for (const session of (await stripe.checkout.sessions.list({ customer })).data)
    await syncObject(services, { type: 'checkout.session', id: session.id }, now);
  const { data: subscriptions } = await stripe.subscriptions.list({ customer, status: 'all' });
  for (const { id } of subscriptions) await syncObject(services, { type: 'subscription', id }, now);
  for (const { id } of (await stripe.invoices.list({ customer })).data)
    await syncObject(services, { type: 'invoice', id }, now);
  const [newest] = subscriptions;
  if (newest === undefined) throw new Error(`${tenant.id} has no subscription`);
  return newest;
}

/** A tenant that pays for a plan. */
export async function subscribe(
  billing: BillingScene,
  tenant: BillingTenant,
  plan = 'starter',
  more: object = {},
): Promise<Stripe.Subscription> {
  const opened = await tenant.ask('POST', 'checkout-sessions', checkoutOf(plan, more));
  if (opened.status !== 201) throw new Error(`no checkout: ${JSON.stringify(opened.body)}`);
  return payCheckout(billing, tenant, opened.body.url);
}

/** A request that the stand-in holds. */
export interface Hold {
  /** Settles once a request is held. */
  readonly reached: Promise<unknown>;
  release(how: 'go' | 'cut'): Promise<void>;
}

/** Holds the next request for a path, before anything has happened or after all has. */
export async function hold({ stripe }: BillingApp, path: string, point: 'before' | 'after'): Promise<Hold> {
  const made = await stripe.ask('POST', '/_stand-in/holds', { path, point });
  const { id } = (await made.json()) as { id: string };
  return {
    reached: stripe.ask('GET', `/_stand-in/holds/${id}`),
    release: async (how) => {
      await stripe.ask('POST', `/_stand-in/holds/${id}/release`, { how });
    },
  };
}

/** The actions in a tenant's trail that begin with `billing.`, as they wait in the outbox or have arrived. */
export async function billingActions(
  { app }: Pick<BillingScene, 'app'>,
  tenant: BillingTenant,
): Promise<string[]> {
  const rows = await app.admin.core`select action from audit_logs
    where tenant_id = ${tenant.id} and action like 'billing.%' order by created_at, id`;
  return rows.map((row) => String(row['action']));
}
