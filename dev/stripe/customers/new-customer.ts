import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { randomLetters } from '../objects/kinds.ts';

/** A new customer that has only the defaults. */
export function makeCustomer(context: Context, testClock: string | null): Stripe.Customer {
  return {
    id: context.newId('customer'),
    object: 'customer',
    address: null,
    balance: 0,
    created: context.now(testClock),
    currency: null,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: null,
    discount: null,
    email: null,
    invoice_prefix: randomLetters(8).toUpperCase(),
    invoice_settings: {
      custom_fields: null,
      default_payment_method: null,
      footer: null,
      rendering_options: null,
    },
    livemode: false,
    metadata: {},
    name: null,
    next_invoice_sequence: 1,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: testClock,
  };
}
