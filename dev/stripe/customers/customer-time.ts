import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { StripeError, noSuchObject } from '../api/stripe-error.ts';
import { refId } from '../objects/refs.ts';

/** As Stripe: while a test clock advances, its objects can be read and not be changed. */
function checkClockStands(context: Context, testClock: string): void {
  if (context.cause === null) return; // the advance itself
  const clock = context.store.get('test_helpers.test_clock', testClock);
  if (clock?.status !== 'advancing') return;
  throw new StripeError(429, {
    type: 'invalid_request_error',
    code: 'rate_limit',
    message: `Test clock advancement underway - cannot perform modifications: ${testClock}`,
  });
}

/** Now, for all that belongs to a customer. Payments, cards and events are in the machine's time all the same. */
export function timeOf(context: Context, customer: Stripe.Customer): number {
  return context.now(customer.test_clock);
}

/** The customer of a change. Throws where there is none, or where its test clock is on the move. */
export function findCustomer(context: Context, id: string, param = 'customer'): Stripe.Customer {
  const customer = context.store.get('customer', id);
  if (customer === undefined) throw noSuchObject('customer', id, param);
  const clock = refId(customer.test_clock);
  if (clock !== null) checkClockStands(context, clock);
  return customer;
}

/** The customer that an object belongs to, in its newest state. */
export function ownerOf(
  context: Context,
  { customer }: { readonly customer: string | { readonly id: string } | null },
): Stripe.Customer {
  return findCustomer(context, refId(customer) ?? '');
}

/** Changes a customer as the newest state has it, with `customer.updated`. */
export function changeCustomer(context: Context, id: string, change: Partial<Stripe.Customer>): void {
  const before = context.store.get('customer', id);
  if (before !== undefined) context.change('customer.updated', before, { ...before, ...change });
}
