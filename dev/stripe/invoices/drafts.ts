import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { timeOf } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import { termsOf } from '../seams/coupons-and-meters.ts';
import type { DiscountTerms } from '../seams/coupons-and-meters.ts';
import type { Period } from '../subscriptions/periods.ts';
import { lineOfInvoiceItem } from './lines.ts';
import { discountLines, totalsOf } from './totals.ts';

/** Stripe finalises a draft about an hour after it was made, so that it can be changed until then. */
export const DRAFT_SECONDS = 60 * 60;

export interface NewInvoice {
  readonly customer: Stripe.Customer;
  readonly subscription?: Stripe.Subscription | undefined;
  readonly reason: Stripe.Invoice.BillingReason;
  readonly currency: string;
  readonly lines: readonly Stripe.InvoiceLineItem[];
  /** Pending invoice items that this invoice takes up. */
  readonly items?: readonly Stripe.InvoiceItem[];
  /** Ids of discounts; those that have ended take nothing off. */
  readonly discounts: readonly string[];
  readonly period: Period;
  /** True for an invoice that goes its way by itself. */
  readonly autoAdvance: boolean;
  readonly metadata?: Record<string, string>;
  readonly description?: string | null;
  readonly prorationDate?: number | undefined;
  readonly defaultPaymentMethod?: string | null;
  /** When it is to be made, if not now: what a preview shows. */
  readonly at?: number;
}

/** Discounts in the order in which they are taken off. */
function findTerms(context: Context, ids: readonly string[], at: number): DiscountTerms[] {
  return ids.flatMap((id) => termsOf(context, id, at) ?? []);
}

function parentOf({ subscription, prorationDate }: NewInvoice): Stripe.Invoice.Parent | null {
  if (subscription === undefined) return null;
  return {
    quote_details: null,
    subscription_details: {
      metadata: subscription.metadata,
      subscription: subscription.id,
      ...(prorationDate === undefined ? {} : { subscription_proration_date: prorationDate }),
    },
    type: 'subscription_details',
  };
}

/** What an invoice has before anything happens to it. */
const UNTOUCHED = {
  object: 'invoice',
  account_country: 'US',
  account_name: 'Stand-in',
  account_tax_ids: null,
  amount_overpaid: 0,
  amount_paid: 0,
  amount_shipping: 0,
  application: null,
  attempt_count: 0,
  attempted: false,
  automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
  collection_method: 'charge_automatically',
  custom_fields: null,
  customer_account: null,
  customer_shipping: null,
  customer_tax_ids: [],
  default_source: null,
  default_tax_rates: [],
  due_date: null,
  effective_at: null,
  ending_balance: null,
  footer: null,
  from_invoice: null,
  hosted_invoice_url: null,
  invoice_pdf: null,
  issuer: { type: 'self' },
  last_finalization_error: null,
  latest_revision: null,
  livemode: false,
  number: null,
  on_behalf_of: null,
  payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
  post_payment_credit_notes_amount: 0,
  pre_payment_credit_notes_amount: 0,
  receipt_number: null,
  rendering: null,
  shipping_cost: null,
  shipping_details: null,
  statement_descriptor: null,
  status: 'draft',
  status_transitions: { finalized_at: null, marked_uncollectible_at: null, paid_at: null, voided_at: null },
  total_pretax_credit_amounts: [],
  webhooks_delivered_at: null,
} as const;

function customerFields(
  customer: Stripe.Customer,
): Pick<
  Stripe.Invoice,
  | 'customer'
  | 'customer_address'
  | 'customer_email'
  | 'customer_name'
  | 'customer_phone'
  | 'customer_tax_exempt'
> {
  return {
    customer: customer.id,
    customer_address: customer.address ?? null,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    customer_phone: customer.phone ?? null,
    customer_tax_exempt: customer.tax_exempt ?? 'none',
  };
}

/** The draft as an object, which nobody has stored or heard of. */
export function makeDraft(context: Context, given: NewInvoice): Stripe.Invoice {
  const { customer, currency, autoAdvance } = given;
  const now = given.at ?? timeOf(context, customer);
  const id = context.newId('invoice');
  const plain = [...given.lines, ...(given.items ?? []).map(lineOfInvoiceItem)];
  const lines = discountLines(plain, findTerms(context, given.discounts, now));
  return {
    ...UNTOUCHED,
    customer_tax_ids: [],
    default_tax_rates: [],
    total_pretax_credit_amounts: [],
    ...customerFields(customer),
    ...totalsOf(lines, customer.balance, currency),
    id,
    auto_advance: autoAdvance,
    automatically_finalizes_at: autoAdvance ? now + DRAFT_SECONDS : null,
    billing_reason: given.reason,
    created: now,
    currency,
    default_payment_method: given.defaultPaymentMethod ?? null,
    description: given.description ?? null,
    discounts: [...given.discounts],
    lines: {
      object: 'list',
      data: lines.map((line) => ({ ...line, invoice: id })),
      has_more: false,
      url: `/v1/invoices/${id}/lines`,
    },
    metadata: given.metadata ?? {},
    next_payment_attempt: autoAdvance ? now + DRAFT_SECONDS : null,
    parent: parentOf(given),
    period_end: given.period.end,
    period_start: given.period.start,
    test_clock: refId(customer.test_clock),
  };
}

/** Stores a draft, which takes up its pending invoice items. */
export function storeDraft(
  context: Context,
  draft: Stripe.Invoice,
  items: readonly Stripe.InvoiceItem[],
): Stripe.Invoice {
  for (const item of items) context.store.put({ ...item, invoice: draft.id });
  return context.create('invoice.created', draft);
}

export function createDraft(context: Context, given: NewInvoice): Stripe.Invoice {
  return storeDraft(context, makeDraft(context, given), given.items ?? []);
}

/** A draft with other lines or at another time: its sums are computed again. */
export function recomputeDraft(
  context: Context,
  draft: Stripe.Invoice,
  lines: readonly Stripe.InvoiceLineItem[],
): Stripe.Invoice {
  const customer = context.find('customer', refId(draft.customer) ?? '');
  const ids = draft.discounts.map((discount) => refId(discount));
  const discounted = discountLines(lines, findTerms(context, ids, draft.created));
  return {
    ...draft,
    ...totalsOf(discounted, customer.balance, draft.currency),
    lines: { ...draft.lines, data: discounted.map((line) => ({ ...line, invoice: draft.id })) },
  };
}
