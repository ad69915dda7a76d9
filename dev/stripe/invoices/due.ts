import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import type { Due } from '../api/due.ts';
import { finalizeAndTry, tryPayment } from './pay.ts';

function dueOf(invoice: Stripe.Invoice): Due | undefined {
  const { id, status, auto_advance, automatically_finalizes_at: finalizesAt, next_payment_attempt } = invoice;
  if (auto_advance !== true) return undefined;
  if (status === 'draft' && finalizesAt !== null)
    return {
      key: `${id} finalize`,
      at: finalizesAt,
      run: (context) => void finalizeAndTry(context, context.find('invoice', id)),
    };
  if (status === 'open' && next_payment_attempt !== null)
    return {
      key: `${id} attempt`,
      at: next_payment_attempt,
      run: (context) => void tryPayment(context, context.find('invoice', id), { isAutomatic: true }),
    };
  return undefined;
}

/** What the invoices of a test clock, or of the machine's time, do by themselves. */
export function listInvoiceDues({ store }: Context, testClock: string | null): Due[] {
  return store
    .list('invoice', ({ test_clock }) => test_clock === testClock)
    .flatMap((one) => dueOf(one) ?? []);
}
