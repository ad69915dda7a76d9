import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { Reply } from '../../../platform/call/reply.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { findEarlierAnswer } from '../../../platform/writes/idempotency.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { findPlanOffer } from '../plans/plan-offer.ts';
import { codeOf } from '../promotions/promotion.ts';
import { askStripe } from '../stripe/ask-stripe.ts';
import { findOwnSubscription, hadSubscription } from '../subscriptions/own-subscription.ts';
import { keepSession, Overtaken, type Wish } from './checkout-rows.ts';
import { checkReturnUrls } from './return-urls.ts';
import type { Checkout, NewCheckout } from './schemas.ts';
import { endSession, findOrMakeSession } from './stripe-session.ts';

/**
 * Opens a page at Stripe where a person can pay for a plan. While it is open, the same wish gets the same page again, and another
 * wish closes it.
 * @throws Problem 400 for a return address, plan or code that is wrong; 409 if the plan is not sold, the code cannot be used or the
 * tenant has a subscription at Stripe; 503 if Stripe does not answer.
 */
export async function createCheckout(call: Call, body: NewCheckout): Promise<Reply<201, Checkout>> {
  const urls = checkReturnUrls(call, { success_url: body.success_url, cancel_url: body.cancel_url });
  const { billing } = call.databases;
  const earlier = await findEarlierAnswer<Reply<201, Checkout>>(billing, call, call.idempotency);
  if (earlier !== undefined) return earlier;
  const wish = await readWish(call, body, urls);
  const { settings } = call.services;
  const { checkoutId, session } = await askStripe(settings, (stripe) =>
    findOrMakeSession(call, stripe, wish),
  );
  const { url } = session;
  if (url === null) throw new Error('a checkout session without a page');
  try {
    return await performWrite(
      call,
      async (transaction) => {
        if (!(await keepSession(transaction, checkoutId, session))) throw new Overtaken();
        const answer: Checkout = {
          checkout_id: checkoutId,
          url,
          expires_at: new Date(session.expires_at * 1000).toISOString(),
        };
        return {
          reply: { status: 201, body: answer },
          audit: {
            action: 'billing.checkout_opened',
            resource_type: 'checkout_session',
            resource_id: checkoutId,
            details: {
              plan_id: wish.plan.planId,
              billing_cycle: wish.plan.billingCycle,
              with_code: wish.promotionalCode !== undefined,
            },
          },
        };
      },
      { database: 'billing', beyondQuota: true },
    );
  } catch (error) {
    if (error instanceof Overtaken) await discard(call, session.id);
    throw error;
  }
}

async function readWish(
  call: Call,
  body: NewCheckout,
  urls: Record<'success_url' | 'cancel_url', string>,
): Promise<Wish> {
  return call.databases.billing.transaction(async (transaction) => {
    const plan = await findPlanOffer(transaction, body);
    const live = await findOwnSubscription(transaction);
    if (live !== undefined && live.stripe_subscription_id !== null)
      throw new Problem('CONFLICT', {
        detail:
          'The tenant has a subscription already: change it instead, by POST /billing/subscription/change.',
      });
    const { promotional_code: code } = body;
    return {
      plan,
      // Two spellings of a code are one wish.
      promotionalCode: code === undefined ? undefined : (codeOf(code) ?? code),
      trialDays: (await hadSubscription(transaction)) ? 0 : plan.trialDays,
      successUrl: urls.success_url,
      cancelUrl: urls.cancel_url,
    };
  });
}

/** Ends a session whose page nobody got. If that fails, it expires by itself. */
async function discard(call: Call, sessionId: string): Promise<void> {
  try {
    await askStripe(call.services.settings, (stripe) => endSession(stripe, sessionId));
  } catch (error) {
    log.warn('checkout-not-ended', errorFields(error));
  }
}
