import type { Call } from '../../../platform/call/call.ts';
import type { Reply } from '../../../platform/call/reply.ts';
import { findEarlierAnswer } from '../../../platform/writes/idempotency.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { askStripe } from '../stripe/ask-stripe.ts';
import { ensureCustomer } from '../subscriptions/stripe-customer.ts';
import { checkReturnUrls } from './return-urls.ts';
import type { NewPortal, Portal } from './schemas.ts';

/**
 * Opens Stripe's page for the tenant's cards, invoices and subscription.
 * @throws Problem 400 for a return address that is not allowed, 503 if Stripe does not answer.
 */
export async function createPortal(call: Call, body: NewPortal): Promise<Reply<201, Portal>> {
  const { return_url: returnUrl } = checkReturnUrls(call, body);
  const { billing } = call.databases;
  const earlier = await findEarlierAnswer<Reply<201, Portal>>(billing, call, call.idempotency);
  if (earlier !== undefined) return earlier;
  const { url } = await askStripe(call.services.settings, async (stripe) =>
    stripe.billingPortal.sessions.create({
      customer: await ensureCustomer(call, stripe),
      return_url: returnUrl,
    }),
  );
  return performWrite(
    call,
    () =>
      Promise.resolve({
        reply: { status: 201 as const, body: { url } },
        audit: { action: 'billing.portal_opened', resource_type: 'portal_session' },
      }),
    { database: 'billing', beyondQuota: true },
  );
}
