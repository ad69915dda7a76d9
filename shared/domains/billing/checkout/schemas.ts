import { z } from 'zod';
import { billingCycle, planId } from '../plans/plan-offer.ts';

/** The longest address that Stripe takes. */
const URL_MAX = 2_000;

const returnUrl = z.string().min(1).max(URL_MAX).describe('Its origin must be one that the service allows.');

/** The body of `POST /billing/checkout-sessions`. */
export const newCheckout = z.strictObject({
  plan_id: planId,
  billing_cycle: billingCycle,
  promotional_code: z.string().min(1).max(50).optional(),
  success_url: returnUrl.describe(
    'Where a person is sent after paying. `{CHECKOUT_SESSION_ID}` in it becomes Stripe’s id of the session.',
  ),
  cancel_url: returnUrl,
});
export type NewCheckout = z.output<typeof newCheckout>;

export const checkout = z.object({
  checkout_id: z.string(),
  url: z.string().describe('Stripe’s page, where a person pays.'),
  expires_at: z.string(),
});
export type Checkout = z.output<typeof checkout>;

/** The body of `POST /billing/portal-sessions`. */
export const newPortal = z.strictObject({ return_url: returnUrl });
export type NewPortal = z.output<typeof newPortal>;

export const portal = z.object({
  url: z
    .string()
    .describe('Stripe’s page for cards, invoices and the subscription. It must be opened within minutes.'),
});
export type Portal = z.output<typeof portal>;
