import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { StripeError } from '../api/stripe-error.ts';
import { makeDraft } from '../invoices/drafts.ts';
import { randomLetters } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { firstPeriodEnd, isMetered } from '../subscriptions/items.ts';
import { hasEnded } from '../subscriptions/status.ts';
import { cancelNow } from './cancellation.ts';
import { changeNow } from './change.ts';
import type { ChangeRequest } from './change.ts';
import { planRenewal } from './renew.ts';
import { beginSubscription } from './start.ts';
import type { Begun, StartRequest } from './start.ts';

/** Stripe's answer where nothing is to be billed any more. */
function noUpcoming(customer: string): StripeError {
  return new StripeError(404, {
    type: 'invalid_request_error',
    code: 'invoice_upcoming_none',
    message: `No upcoming invoices for customer: ${customer}`,
  });
}

/** Does a thing, looks at what it leads to, and undoes it: a preview is what would happen, by the code that makes it happen. */
export function simulate<T>(context: Context, run: () => T): T {
  const savepoint = context.store.savepoint();
  try {
    return run();
  } finally {
    context.store.rollBackTo(savepoint);
  }
}

/** The same invoice as one that does not exist: with ids of its own. */
function asPreview(invoice: Stripe.Invoice): Stripe.Invoice {
  const id = `upcoming_in_${randomLetters(24)}`;
  const lines = invoice.lines.data.map((line) => ({
    ...line,
    id: `il_tmp_${randomLetters(24)}`,
    invoice: id,
  }));
  return { ...invoice, id, lines: { ...invoice.lines, data: lines, url: `/v1/invoices/${id}/lines` } };
}

/** What a subscription's next renewal will bill, as far as is known now. Throws 404 where it will not be renewed. */
export function previewRenewal(context: Context, subscription: Stripe.Subscription): Stripe.Invoice {
  const customer = refId(subscription.customer);
  if (hasEnded(subscription) || subscription.status === 'paused') throw noUpcoming(customer);
  const at = firstPeriodEnd(subscription);
  const { invoice } = planRenewal(context, subscription, at);
  const isLast = subscription.cancel_at !== null && subscription.cancel_at <= at;
  if (!isLast) return asPreview(makeDraft(context, invoice));
  const used = invoice.lines.filter(({ pricing }) => isUsage(context, pricing));
  if (used.length + (invoice.items?.length ?? 0) === 0) throw noUpcoming(customer);
  return asPreview(makeDraft(context, { ...invoice, lines: used, discounts: [] }));
}

function isUsage(context: Context, pricing: Stripe.InvoiceLineItem.Pricing | null): boolean {
  const price = context.store.get('price', refId(pricing?.price_details?.price) ?? '');
  return price !== undefined && isMetered({ price });
}

/** The invoice that something has led to, or else the next one. */
function previewOf(context: Context, { subscription, draft }: Begun): Stripe.Invoice {
  return draft === undefined ? previewRenewal(context, subscription) : asPreview(draft);
}

/** What a change would bill: at once, or with the next renewal. */
export function previewChange(
  context: Context,
  subscription: Stripe.Subscription,
  request: ChangeRequest,
): Stripe.Invoice {
  if (hasEnded(subscription)) throw noUpcoming(refId(subscription.customer));
  return simulate(context, () => previewOf(context, changeNow(context, subscription, request)));
}

/** What a new subscription would bill first. */
export function previewStart(context: Context, request: StartRequest): Stripe.Invoice {
  return simulate(context, () => previewOf(context, beginSubscription(context, request)));
}

/** What ending a subscription now would bill. */
export function previewCancellation(
  context: Context,
  subscription: Stripe.Subscription,
  prorate: boolean,
): Stripe.Invoice {
  return simulate(context, () => {
    const ended = cancelNow(context, subscription, { invoiceNow: true, prorate });
    const last = refId(ended.latest_invoice);
    if (last === null || last === refId(subscription.latest_invoice)) throw noUpcoming(refId(ended.customer));
    return asPreview(context.find('invoice', last));
  });
}

/** The next invoice of a customer's subscription that renews first. */
export function previewCustomer(context: Context, customer: string): Stripe.Invoice {
  const live = context.store
    .list('subscription', (subscription) => subscription.customer === customer && !hasEnded(subscription))
    .sort((one, other) => firstPeriodEnd(one) - firstPeriodEnd(other));
  const [first] = live;
  if (first === undefined) throw noUpcoming(customer);
  return previewRenewal(context, first);
}
