import type Stripe from 'stripe';
import type { BillingApp } from './billing-app.ts';

/** A customer that a tenant has, with a card that pays, and a price of a plan. */
export async function giveCustomer(
  { app, stripe: { stripe } }: Pick<BillingApp, 'app' | 'stripe'>,
  tenantId: string,
): Promise<Stripe.Customer> {
  const customer = await stripe.customers.create({
    metadata: { tenant_id: tenantId },
    payment_method: 'pm_card_visa',
    invoice_settings: { default_payment_method: 'pm_card_visa' },
  });
  await app.admin.billing`
    insert into ops.stripe_customers (tenant_id, stripe_customer_id) values (${tenantId}, ${customer.id})`;
  return customer;
}

/** Gives a plan a monthly price at Stripe. */
export async function givePrice(
  { app, stripe: { stripe } }: Pick<BillingApp, 'app' | 'stripe'>,
  planId: string,
): Promise<Stripe.Price> {
  const product = await stripe.products.create({ name: planId });
  const price = await stripe.prices.create({
    product: product.id,
    currency: 'usd',
    unit_amount: 2900,
    recurring: { interval: 'month' },
  });
  await app.admin.billing`update billing_plans set stripe_price_id = ${price.id} where plan_id = ${planId}`;
  return price;
}
