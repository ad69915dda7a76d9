import type Stripe from 'stripe';
import { patch } from './patch.ts';
import type { Look, Patch } from './patch.ts';
import { findDiscount, idOf } from './references.ts';

interface TaxAmount {
  readonly amount: number;
  readonly inclusive: boolean;
  readonly tax_rate: string | null;
  readonly taxability_reason: string | null;
  readonly taxable_amount: number | null;
}

type Tax = Stripe.Invoice.TotalTax | Stripe.InvoiceLineItem.Tax;

function toTaxAmounts(taxes: readonly Tax[] | null): TaxAmount[] {
  return (taxes ?? []).map(
    ({ amount, tax_behavior, tax_rate_details, taxability_reason, taxable_amount }) => ({
      amount,
      inclusive: tax_behavior === 'inclusive',
      tax_rate: tax_rate_details?.tax_rate ?? null,
      taxability_reason,
      taxable_amount,
    }),
  );
}

/**
 * What pays an invoice: the payment that its client is shown, else the newest. An event may tell of a draft, or of an invoice
 * before its first attempt, which have none, when the payment is long made.
 */
function findPayment(
  invoice: Stripe.Invoice,
  look: Look,
): { payment_intent: string | null; charge: string | null } {
  if (invoice.status === 'draft') return { payment_intent: null, charge: null };
  const payments = look.list('invoice_payment', (payment) => idOf(payment.invoice) === invoice.id);
  const { payment } = payments.find(({ is_default }) => is_default) ?? payments[0] ?? {};
  const intentId = idOf(payment?.payment_intent);
  const intent = intentId === null ? undefined : look.get('payment_intent', intentId);
  const charge = idOf(payment?.charge) ?? idOf(intent?.latest_charge);
  return { payment_intent: intentId, charge: invoice.attempted ? charge : null };
}

function isPaidOutOfBand(invoice: Stripe.Invoice, look: Look): boolean {
  const records = look.list(
    'invoice_payment',
    ({ invoice: of, payment, status }) =>
      idOf(of) === invoice.id && payment.type === 'payment_record' && status === 'paid',
  );
  return records.length > 0;
}

/** An invoice named its subscription, its payment and its taxes itself. */
export function patchInvoice(invoice: Stripe.Invoice, look: Look): Patch {
  const details = invoice.parent?.subscription_details ?? null;
  const taxes = toTaxAmounts(invoice.total_taxes);
  const { subscription_proration_date: prorationDate } = details ?? {};
  return patch(
    invoice,
    {
      ...findPayment(invoice, look),
      application_fee_amount: null,
      discount: findDiscount(invoice.discounts, look),
      paid: invoice.status === 'paid',
      paid_out_of_band: isPaidOutOfBand(invoice, look),
      quote: invoice.parent?.quote_details?.quote ?? null,
      subscription: idOf(details?.subscription),
      subscription_details: details === null ? null : { metadata: details.metadata },
      ...(prorationDate === undefined ? {} : { subscription_proration_date: prorationDate }),
      tax: taxes.length === 0 ? null : taxes.reduce((sum, { amount }) => sum + amount, 0),
      total_tax_amounts: taxes,
      transfer_data: null,
    },
    ['amount_overpaid', 'confirmation_secret', 'parent', 'payments', 'total_taxes'],
  );
}

/** The plan that a recurring price is also shown as. */
function makePlan(price: Stripe.Price): Stripe.Plan | null {
  const { recurring } = price;
  if (recurring === null) return null;
  return {
    id: price.id,
    object: 'plan',
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: price.billing_scheme,
    created: price.created,
    currency: price.currency,
    interval: recurring.interval,
    interval_count: recurring.interval_count,
    livemode: price.livemode,
    metadata: price.metadata,
    meter: recurring.meter,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: price.tiers_mode,
    transform_usage: price.transform_quantity,
    trial_period_days: recurring.trial_period_days,
    usage_type: recurring.usage_type,
  };
}

type Pricing = Stripe.InvoiceLineItem.Pricing | Stripe.InvoiceItem.Pricing;

function findPrice(
  pricing: Pricing | null,
  look: Look,
): { price: Stripe.Price | null; plan: Stripe.Plan | null } {
  const reference = pricing?.price_details?.price;
  const price = typeof reference === 'string' ? look.get('price', reference) : reference;
  return { price: price ?? null, plan: price === undefined ? null : makePlan(price) };
}

/** A line named what it is for itself, and had its price whole. */
export function patchLine(line: Stripe.InvoiceLineItem, look: Look): Patch {
  const { invoice_item_details: ofItem, subscription_item_details: ofSubscription } = line.parent ?? {};
  const details = ofSubscription ?? ofItem;
  const taxes = toTaxAmounts(line.taxes);
  const included = taxes.reduce((sum, { amount, inclusive }) => sum + (inclusive ? amount : 0), 0);
  const item = ofSubscription?.subscription_item;
  const invoiceItem = ofItem?.invoice_item ?? ofSubscription?.invoice_item;
  return patch(
    line,
    {
      ...findPrice(line.pricing, look),
      amount_excluding_tax: line.amount - included,
      ...(invoiceItem == null ? {} : { invoice_item: invoiceItem }),
      proration: details?.proration ?? false,
      proration_details: details?.proration_details ?? { credited_items: null },
      subscription: details?.subscription ?? idOf(line.subscription),
      ...(item === undefined ? {} : { subscription_item: item }),
      tax_amounts: taxes,
      tax_rates: [],
      type: line.parent?.type === 'subscription_item_details' ? 'subscription' : 'invoiceitem',
      unit_amount_excluding_tax: line.pricing?.unit_amount_decimal ?? null,
    },
    ['parent', 'pricing', 'taxes'],
  );
}

/** An invoice item, too. */
export function patchInvoiceItem(item: Stripe.InvoiceItem, look: Look): Patch {
  const { subscription = null, subscription_item } = item.parent?.subscription_details ?? {};
  const decimal = item.pricing?.unit_amount_decimal ?? null;
  const number = decimal?.toNumber() ?? NaN;
  return patch(
    item,
    {
      ...findPrice(item.pricing, look),
      subscription,
      ...(subscription_item === undefined ? {} : { subscription_item }),
      unit_amount: Number.isInteger(number) ? number : null,
      unit_amount_decimal: decimal,
    },
    ['parent', 'pricing'],
  );
}
