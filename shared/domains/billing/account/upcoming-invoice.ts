import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { toDecimal } from '../money.ts';
import { askStripe } from '../stripe/ask-stripe.ts';
import { isStripeMissing } from '../stripe/client.ts';
import { discountOf, taxOf } from '../stripe/stripe-shapes.ts';
import { findOwnSubscription } from '../subscriptions/own-subscription.ts';
import { isoOf, presentLines } from './preview-change.ts';
import type { UpcomingInvoice } from './schemas.ts';

/**
 * The next invoice of the tenant's subscription, as far as is known now. It comes from Stripe.
 * @throws Problem 404 if there will be none, 503 if Stripe does not answer.
 */
export async function readUpcomingInvoice(call: Call): Promise<Reply<200, UpcomingInvoice>> {
  const own = await call.databases.billing.transaction(findOwnSubscription);
  const id = own?.stripe_subscription_id ?? null;
  if (id === null) throw noUpcoming();
  const invoice = await askStripe(call.services.settings, async (stripe) => {
    try {
      return await stripe.invoices.createPreview({ subscription: id });
    } catch (error) {
      throw isStripeMissing(error) ? noUpcoming() : error;
    }
  });
  const decimal = (amount: number): string => toDecimal(amount, invoice.currency);
  return ok<UpcomingInvoice>({
    at: isoOf(invoice.period_end),
    currency: invoice.currency.toUpperCase(),
    lines: presentLines(invoice),
    subtotal: decimal(invoice.subtotal),
    discount: decimal(discountOf(invoice)),
    tax: decimal(taxOf(invoice)),
    total: decimal(invoice.total),
    amount_due: decimal(invoice.amount_due),
  });
}

function noUpcoming(): Problem {
  return new Problem('NOT_FOUND', { detail: 'No invoice is to come.' });
}
