import { randomBytes } from 'node:crypto';
import Stripe from 'stripe';
import { STRIPE_API_VERSION } from '../../shared/domains/billing/stripe/client.ts';
import type { TestAnswer, TestApp } from './app.ts';

/** Where Stripe sends its events. */
export const WEBHOOK_PATH = '/api/v1/webhooks/stripe';

/** An id as Stripe makes them: `evt_1a2b…`. */
export const stripeId = (prefix: string): string => `${prefix}_${randomBytes(12).toString('hex')}`;

/** An event as Stripe sends it, of a test account. */
export function stripeEvent(
  type: string,
  object: Readonly<Record<string, unknown>>,
  members: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> & { readonly id: string } {
  return {
    id: stripeId('evt'),
    object: 'event',
    api_version: STRIPE_API_VERSION,
    created: Math.floor(Date.now() / 1000),
    data: { object },
    livemode: false,
    pending_webhooks: 1,
    request: null,
    type,
    ...members,
  };
}

/** How a webhook is sent. */
export interface Sending {
  /** Default: the first of the app's secrets. */
  readonly secret?: string;
  /** When it was signed. Default: now. */
  readonly signedAt?: Date;
  /** The whole header instead. */
  readonly signature?: string | null;
}

/** `Stripe-Signature` of a body. */
export function signatureOf(payload: string, secret: string, signedAt = new Date()): string {
  return Stripe.webhooks.generateTestHeaderString({
    payload,
    secret,
    timestamp: Math.floor(signedAt.getTime() / 1000),
  });
}

/** Sends a body to the webhook, signed as Stripe signs. */
export function sendWebhook(
  app: Pick<TestApp, 'request' | 'settings'>,
  body: object | string,
  { secret = app.settings.STRIPE_WEBHOOK_SECRETS[0] ?? '', signedAt, signature }: Sending = {},
): Promise<TestAnswer> {
  const raw = typeof body === 'string' ? body : JSON.stringify(body, null, 2);
  const header = signature === undefined ? signatureOf(raw, secret, signedAt) : signature;
  return app.request('POST', WEBHOOK_PATH, {
    raw,
    headers: header === null ? {} : { 'stripe-signature': header },
  });
}
