import type Stripe from 'stripe';
import { StripeError } from '../api/stripe-error.ts';
import type { Decline } from './test-cards.ts';

interface Declined {
  readonly decline: Decline;
  /** What the decline has left behind, and which is kept. */
  readonly intent?: Stripe.PaymentIntent;
  readonly charge?: string;
  /** True where something else than a charge is left behind. */
  readonly keepsChanges?: boolean;
}

/** 402. Where a charge was tried, the failed charge and its events stay. */
export function cardError({
  decline,
  intent,
  charge,
  keepsChanges = charge !== undefined,
}: Declined): StripeError {
  return new StripeError(
    402,
    {
      type: 'card_error',
      code: decline.code,
      decline_code: decline.declineCode,
      message: decline.message,
      ...(intent === undefined ? {} : { payment_intent: intent }),
      ...(charge === undefined ? {} : { charge }),
    },
    { keepsChanges },
  );
}
