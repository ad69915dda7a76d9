import type Stripe from 'stripe';
import { createPlans, type Plans } from '../../dev/stripe/test-billing.ts';
import type { BillingApp } from './billing-app.ts';

/** Lets starter and professional be sold at the stand-in: `team` is starter's price, `business` professional's. */
export async function sellPlans({ app, stripe }: BillingApp): Promise<Plans> {
  const plans = await createPlans(stripe);
  await app.admin.billing`update billing_plans set stripe_price_id = ${plans.team.id},
    stripe_price_id_yearly = ${plans.teamYearly.id} where plan_id = 'starter'`;
  await app.admin.billing`update billing_plans set stripe_price_id = ${plans.business.id}
    where plan_id = 'professional'`;
  return plans;
}

/** Makes a tenant that has no customer yet. */
export async function makeTenant({ app }: BillingApp, tenantId: string): Promise<string> {
  await app.admin
    .core`insert into tenants (tenant_id, name, plan_id) values (${tenantId}, ${tenantId}, 'free')`;
  return tenantId;
}

/** A tenant's customer, as the app makes it, with a card. */
export async function makeCustomer(
  { app, stripe }: BillingApp,
  tenantId: string,
  given: Stripe.CustomerCreateParams = {},
): Promise<Stripe.Customer> {
  const customer = await stripe.stripe.customers.create({
    payment_method: 'pm_card_visa',
    invoice_settings: { default_payment_method: 'pm_card_visa' },
    metadata: { tenant_id: tenantId },
    ...given,
  });
  await app.admin.billing`insert into ops.stripe_customers (tenant_id, stripe_customer_id)
    values (${tenantId}, ${customer.id})`;
  return customer;
}
