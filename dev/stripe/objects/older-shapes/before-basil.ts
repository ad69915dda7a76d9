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

/** Basil (2025-03-31): periods moved to the items, invoices got a `parent` and `payments`, lines a `parent` and a `pricing`. */
export const beforeBasil: Step = (object, look) => {
  switch (object.object) {
    case 'subscription':
      return patchSubscription(object, look);
    case 'subscription_item':
      return patch(object, {}, ['current_period_start', 'current_period_end']);
    case 'invoice':
      return patchInvoice(object, look);
    case 'line_item':
      return patchLine(object, look);
    case 'invoiceitem':
      return patchInvoiceItem(object, look);
    case 'payment_intent': {
      const { id } = object;
      return patch(object, {
        invoice: findInvoiceOf(look, (payment) => idOf(payment.payment_intent) === id),
      });
    }
    case 'charge': {
      const { id } = object;
      const intent = idOf(object.payment_intent);
      const invoice = findInvoiceOf(
        look,
        (payment) =>
          idOf(payment.charge) === id || (intent !== null && idOf(payment.payment_intent) === intent),
      );
      return patch(object, { invoice });
    }
    case 'checkout.session':
      return patch(object, { shipping_details: object.collected_information?.shipping_details ?? null });
    case 'price':
      return object.recurring === null
        ? undefined
        : patch(object, { recurring: { ...object.recurring, aggregate_usage: null } });
    case 'plan':
      return patch(object, { aggregate_usage: null });
    default:
      return undefined;
  }
};
