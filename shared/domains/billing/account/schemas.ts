import { z } from 'zod';
import { instant } from '../../../platform/http/fields.ts';
import { usageReport } from '../metering/schemas.ts';
import { billingCycle, planId } from '../plans/plan-offer.ts';

/** What will happen next to a subscription. */
const NEXT_EVENTS = ['renews', 'cancels', 'trial_ends', 'payment_retry', 'read_only', 'none'] as const;

const amountText = z.string().describe('A decimal number of the currency’s major unit: `29.00`.');
const currencyText = z.string().describe('ISO 4217, in capitals.');

/** `GET /billing/subscription`. */
export const subscriptionView = z.object({
  plan_id: z.string(),
  plan_name: z.string(),
  plan_type: z.string(),
  subscription_id: z.string().nullable().describe('Null: the tenant has the free plan, and no subscription.'),
  status: z
    .string()
    .describe(
      '`none` without a subscription; else `active`, `trialing`, `past_due`, `unpaid`, `paused` or `incomplete`.',
    ),
  billing_cycle: billingCycle.nullable(),
  price: amountText.nullable().describe('What the plan costs each cycle now, before discounts and taxes.'),
  currency: currencyText.nullable(),
  current_period_start: z.string().nullable(),
  current_period_end: z.string().nullable(),
  trial_start: z.string().nullable(),
  trial_end: z.string().nullable(),
  cancel_at_period_end: z.boolean(),
  cancel_at: z.string().nullable(),
  promotional_code: z.string().nullable(),
  is_managed_by_operator: z
    .boolean()
    .describe('True for a subscription that is not paid at Stripe: an operator changes it.'),
  next: z.object({
    event: z.enum(NEXT_EVENTS),
    at: z.string().nullable(),
  }),
  standing: z.object({
    standing: z.enum(['good', 'grace', 'read_only']),
    grace_ends_at: z.string().nullable(),
    past_due_since: z.string().nullable(),
  }),
  limits: usageReport.shape.items.describe('As `GET /usage` shows them.'),
});
export type SubscriptionView = z.output<typeof subscriptionView>;

/** The body of `POST /billing/subscription/cancel`. */
export const cancellation = z.strictObject({
  at: z
    .enum(['period_end', 'now'])
    .describe(
      '`period_end`: what is paid for can be used. `now`: the plan ends at once, nothing is refunded, and use beyond metered limits is billed.',
    ),
  reason: z.string().min(1).max(500).optional().describe('For the provider; kept at Stripe.'),
});
export type Cancellation = z.output<typeof cancellation>;

const wantedPlan = { plan_id: planId, billing_cycle: billingCycle };

/** The body of `POST /billing/subscription/change/preview`. */
export const changePreviewRequest = z.strictObject(wantedPlan);
export type ChangePreviewRequest = z.output<typeof changePreviewRequest>;

/** The body of `POST /billing/subscription/change`. */
export const change = z.strictObject({
  ...wantedPlan,
  proration_date: instant
    .optional()
    .describe('From the preview, within an hour: then what is billed is what the preview said.'),
});
export type Change = z.output<typeof change>;

const previewLine = z.object({
  description: z.string().nullable(),
  amount: amountText,
  is_proration: z.boolean().describe('True for the credit of unused time, and for the rest of a period.'),
  period_start: z.string().nullable(),
  period_end: z.string().nullable(),
});
export type PreviewLine = z.output<typeof previewLine>;

export const changePreview = z.object({
  plan_id: z.string(),
  billing_cycle: billingCycle,
  proration_date: z.string().describe('Send it with the change.'),
  currency: currencyText,
  lines: z.array(previewLine),
  total: amountText.describe('The sum of the lines, with discounts and taxes. Negative: a credit.'),
  due_now: amountText.describe('What is charged at once, after credit that the customer has.'),
  credited: amountText.describe('What is kept as credit for later invoices.'),
  next_renewal: z
    .object({ at: z.string(), amount: amountText.describe('As far as is known now, without metered use.') })
    .nullable(),
});
export type ChangePreview = z.output<typeof changePreview>;

/** `GET /billing/upcoming-invoice`. */
export const upcomingInvoice = z.object({
  at: z.string().describe('When it will be made.'),
  currency: currencyText,
  lines: z.array(previewLine),
  subtotal: amountText,
  discount: amountText,
  tax: amountText,
  total: amountText,
  amount_due: amountText,
});
export type UpcomingInvoice = z.output<typeof upcomingInvoice>;
