import { z } from 'zod';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { uuid } from '../../../platform/ids/uuid.ts';
import { flag } from '../../../platform/resources/field-schemas.ts';

const INVOICE_STATUSES = ['draft', 'open', 'paid', 'void', 'uncollectible'] as const;
const PAYMENT_STATUSES = [
  'pending',
  'requires_action',
  'succeeded',
  'failed',
  'canceled',
  'refunded',
  'partially_refunded',
  'disputed',
] as const;

const amount = z.string().describe('A decimal number of the currency’s major unit: `29.00`.');
const currency = z.string().describe('ISO 4217, in capitals.');

export const invoiceParams = z.object({ invoice_id: uuid });

export const invoicesQuery = z.strictObject({ ...pageQuery, status: z.enum(INVOICE_STATUSES).optional() });

export const paymentsQuery = z.strictObject({
  ...pageQuery,
  status: z.enum(PAYMENT_STATUSES).optional(),
  invoice_id: uuid.optional(),
});

export const paymentMethodsQuery = z.strictObject({
  ...pageQuery,
  is_active: flag.optional().describe('`false`: those that were removed.'),
});

/** An invoice in a list. Only the invoice itself has its lines. */
export const invoice = z.object({
  invoice_id: z.string(),
  subscription_id: z.string().nullable(),
  invoice_number: z.string().nullable().describe('Null for a draft.'),
  status: z.enum(INVOICE_STATUSES),
  billing_reason: z.string().nullable(),
  currency,
  subtotal: amount,
  discount: amount,
  tax: amount,
  total: amount.describe('Negative: a credit.'),
  amount_due: amount,
  amount_paid: amount,
  amount_remaining: amount,
  period_start: z.string().nullable(),
  period_end: z.string().nullable(),
  due_at: z.string().nullable(),
  finalized_at: z.string().nullable(),
  paid_at: z.string().nullable(),
  voided_at: z.string().nullable(),
  attempt_count: z.number().describe('How often a payment was tried.'),
  next_payment_attempt_at: z.string().nullable(),
  hosted_invoice_url: z.string().nullable().describe('A page where the invoice can be seen and paid.'),
  invoice_pdf: z.string().nullable(),
  created_at: z.string(),
});
export type Invoice = z.output<typeof invoice>;

/** An invoice with its lines. */
export const wholeInvoice = invoice.extend({
  line_items: z.array(
    z.object({
      description: z.string().nullable(),
      amount,
      quantity: z.number().nullable(),
      is_proration: z.boolean(),
      period_start: z.string().nullable(),
      period_end: z.string().nullable(),
    }),
  ),
});
export type WholeInvoice = z.output<typeof wholeInvoice>;

export const payment = z.object({
  payment_id: z.string(),
  invoice_id: z.string().nullable(),
  amount,
  currency,
  status: z.enum(PAYMENT_STATUSES),
  failure_code: z.string().nullable(),
  refunded_amount: amount,
  dispute_status: z.string().nullable(),
  payment_method_type: z.string().nullable(),
  card_brand: z.string().nullable(),
  card_last_four: z.string().nullable(),
  paid_at: z.string().nullable(),
  created_at: z.string(),
});
export type Payment = z.output<typeof payment>;

export const paymentMethod = z.object({
  payment_method_id: z.string(),
  type: z.string(),
  card_brand: z.string().nullable(),
  card_last_four: z.string().nullable(),
  card_exp_month: z.number().nullable(),
  card_exp_year: z.number().nullable(),
  is_default: z.boolean(),
  is_active: z.boolean(),
  created_at: z.string(),
});
export type PaymentMethod = z.output<typeof paymentMethod>;
