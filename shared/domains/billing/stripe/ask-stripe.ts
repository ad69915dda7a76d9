import { setTimeout as delay } from 'node:timers/promises';
import type Stripe from 'stripe';
import { Problem } from '../../../platform/call/problem.ts';
import type { Settings } from '../../../platform/config/settings.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { stripeErrorOf, withStripe } from './client.ts';

/**
 * Asks Stripe for a person's request, within two seconds, see {@link withStripe}.
 * @throws Problem 503 if Stripe does not answer, 402 if a card is declined, 409 if Stripe refuses; what `run` throws.
 */
export async function askStripe<T>(
  settings: Pick<Settings, 'STRIPE_SECRET_KEY' | 'STRIPE_API_URL'>,
  run: (stripe: Stripe) => Promise<T>,
): Promise<T> {
  try {
    return await withStripe(settings, run);
  } catch (error) {
    throw refusalOf(error) ?? error;
  }
}

/** What a refusal of Stripe is to the client; undefined for any other error. Stripe's own words stay in its dashboard. */
function refusalOf(error: unknown): Problem | undefined {
  const found = stripeErrorOf(error);
  if (found === undefined) return undefined;
  if (found.type === 'StripeCardError')
    return new Problem('PAYMENT_REQUIRED', { detail: describeDecline(error), cause: error });
  log.warn('stripe-refused', { ...errorFields(error), param: found.param, status: found.statusCode });
  const reason = found.code === undefined ? '' : ` (${found.code})`;
  return new Problem('CONFLICT', { detail: `Stripe refuses this${reason}.`, cause: error });
}

/** Why a card was not charged, as far as Stripe lets a customer know. */
function describeDecline(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'decline_code') : undefined;
  const reason = typeof code === 'string' && /^[a-z_]{1,50}$/.test(code) ? ` (${code})` : '';
  return `The payment failed${reason}, so nothing was changed. Replace the card, or pay in the portal.`;
}

const FIRST_WAIT_MS = 30;
const LONGEST_WAIT_MS = 250;

/**
 * Sends a request that has an Idempotency-Key. While another one with the same key runs, it is sent again, and then gets the other
 * one's answer. The deadline of {@link withStripe} ends it.
 */
export async function onceAtStripe<T>(send: () => Promise<T>): Promise<T> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      return await send();
    } catch (error) {
      if (stripeErrorOf(error)?.code !== 'idempotency_key_in_use') throw error;
    }
    // Not all at once again.
    await delay(wait * (0.5 + Math.random()));
  }
}

/** Whether a request's key was used for another request: what it would have done has been tried in another way. */
export function isKeyTaken(error: unknown): boolean {
  const found = stripeErrorOf(error);
  return found?.type === 'StripeIdempotencyError' && found.code !== 'idempotency_key_in_use';
}
