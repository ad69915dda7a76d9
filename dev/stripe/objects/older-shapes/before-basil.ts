import type Stripe from 'stripe';
import { patchInvoice, patchInvoiceItem, patchLine } from './invoice-before-basil.ts';
import { patch } from './patch.ts';
import type { Look, Patch, Step } from './patch.ts';
import { findDiscount, idOf } from './references.ts';

/** The period of a subscription was its own. Of items with different periods, the one that ends first. */
function patchSubscription(subscription: Stripe.Subscription, look: Look): Patch {
  const [item] = subscription.items.data.toSorted((a, b) => a.current_period_end - b.current_period_end);
  return patch(subscription, {
    current_period_start: item?.current_period_start ?? subscription.start_date,
    current_period_end: item?.current_period_end ?? subscription.start_date,
    discount: findDiscount(subscription.discounts, look),
  });
}

function findInvoiceOf(
  look: Look,
  isPayment: (payment: Stripe.InvoicePayment.Payment) => boolean,
): string | null {
  const [found] = look.list('invoice_payment', ({ payment }) => isPayment(payment));
  return found === undefined ? null : idOf(found.invoice);
}

function patchCharge(charge: Stripe.Charge, look: Look): Patch {
  const intent = idOf(charge.payment_intent);
  const invoice = findInvoiceOf(
    look,
    (payment) =>
      idOf(payment.charge) === charge.id || (intent !== null && idOf(payment.payment_intent) === intent),
  );
  return patch(charge, { invoice });
}

function patchPaymentIntent(intent: Stripe.PaymentIntent, look: Look): Patch {
  const invoice = findInvoiceOf(look, (payment) => idOf(payment.payment_intent) === intent.id);
  return patch(intent, { invoice });
}

function patchPrice(price: Stripe.Price): Patch {
  const { recurring } = price;
  return patch(price, { recurring: recurring === null ? null : { ...recurring, aggregate_usage: null } });
}

/** Basil (2025-03-31): periods moved to the items, invoices got a `parent` and `payments`, lines a `parent` and a `pricing`. */
export const beforeBasil: Step = (object, look) => {
  if (object.object === 'subscription') return patchSubscription(object, look);
  if (object.object === 'subscription_item')
    return patch(object, {}, ['current_period_start', 'current_period_end']);
  if (object.object === 'invoice') return patchInvoice(object, look);
  if (object.object === 'line_item') return patchLine(object, look);
  if (object.object === 'invoiceitem') return patchInvoiceItem(object, look);
  if (object.object === 'payment_intent') return patchPaymentIntent(object, look);
  if (object.object === 'charge') return patchCharge(object, look);
  if (object.object === 'checkout.session')
    return patch(object, { shipping_details: object.collected_information?.shipping_details ?? null });
  if (object.object === 'price') return patchPrice(object);
  if (object.object === 'plan') return patch(object, { aggregate_usage: null });
  return undefined;
};
