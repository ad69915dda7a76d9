import { randomUUID } from 'node:crypto';
import Stripe from 'stripe';
import type { TestStripe } from '../../dev/stripe/test-stripe.ts';

/** A webhook as Stripe sends it. */
export interface SignedEvent {
  readonly payload: Buffer;
  readonly signature: string;
}

/** The events of a signup that the sync engine and this service both store. */
const TYPES = [
  'customer.created',
  'customer.updated',
  'customer.subscription.created',
  'customer.subscription.updated',
  'invoice.created',
  'invoice.finalized',
  'invoice.paid',
  'payment_intent.succeeded',
  'charge.succeeded',
  'payment_method.attached',
];

/** Signs up customers, each with a subscription and a paid invoice, and returns the events of that. */
export async function signUp({ stripe }: TestStripe, customers: number): Promise<readonly Stripe.Event[]> {
  const product = await stripe.products.create({ name: 'Starter' });
  const { id: price } = await stripe.prices.create({
    product: product.id,
    currency: 'usd',
    unit_amount: 2900,
    recurring: { interval: 'month' },
  });
  for (let n = 0; n < customers; n += 1) {
    const { id: customer } = await stripe.customers.create({
      metadata: { tenant_id: `tenant-${n}` },
      payment_method: 'pm_card_visa',
      invoice_settings: { default_payment_method: 'pm_card_visa' },
    });
    await stripe.subscriptions.create({ customer, items: [{ price }] });
  }
  const events = await stripe.events.list({ limit: 100 }).autoPagingToArray({ limit: 10_000 });
  return events.filter(({ type }) => TYPES.includes(type)).reverse();
}

/**
 * This many events, each with an id of its own: the given ones in their order, again and again. Signed just now, since a
 * signature is good for five minutes.
 */
export function signedEvents(
  events: readonly Stripe.Event[],
  count: number,
  secret: string,
): readonly SignedEvent[] {
  return Array.from({ length: count }, (_, n) => {
    const event = { ...events[n % events.length], id: `evt_${randomUUID().replaceAll('-', '')}` };
    const payload = JSON.stringify(event, null, 2);
    return {
      payload: Buffer.from(payload),
      signature: Stripe.webhooks.generateTestHeaderString({ payload, secret }),
    };
  });
}
