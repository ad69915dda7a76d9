import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import type { CallServices } from '../../../platform/call/call.ts';
import type { Settings } from '../../../platform/config/settings.ts';
import { log } from '../../../platform/log/log.ts';
import type { StripeWebhookReceipt } from './event-schemas.ts';
import { storeEvent, type StoreServices } from './store-events.ts';
import { isNoEvent, readEventText, type GivenEvent } from './stripe-event.ts';

/** What the webhook needs. */
export type WebhookServices = StoreServices & Pick<CallServices, 'settings' | 'clock'>;

/** A webhook as it was sent. */
export interface SentWebhook {
  readonly bytes: Buffer;
  /** `Stripe-Signature`. */
  readonly signature: string | null;
}

/** How old a signature may be: Stripe signs each attempt again, so an older one is a replay. Stripe's own default. */
const TOLERANCE_SECONDS = 300;

/**
 * Takes an event from Stripe: checks who signed it, stores it with its message in one statement, and answers. It asks neither
 * Stripe nor another database, so it takes events also while those are away.
 * @throws Problem 503 without a signing secret; 400 for a wrong or old signature and for what is no event of this account's mode.
 */
export async function receiveWebhook(
  services: WebhookServices,
  sent: SentWebhook,
): Promise<Reply<200, StripeWebhookReceipt>> {
  const now = services.clock.now();
  const event = readSigned(services.settings, await verified(services.settings, sent, now));
  const status = await storeEvent(services, event, { by: 'webhook', now });
  return ok({ event_id: event.id, status });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The body as text, if one of the secrets signed it just now. */
async function verified(
  { STRIPE_WEBHOOK_SECRETS: secrets }: Settings,
  { bytes, signature }: SentWebhook,
  now: Date,
): Promise<string> {
  if (secrets.length === 0)
    throw new Problem('DEPENDENCY_UNAVAILABLE', {
      detail: 'Billing is not configured here.',
      headers: { 'retry-after': '60' },
    });
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw refused('', 'is not UTF-8');
  }
  const isSigned = await signatureCheck();
  if (!secrets.some((secret) => isSigned(text, signature, secret, now)))
    throw refused(
      'header/stripe-signature',
      `is not one that a secret of this endpoint made of this body in the last ${TOLERANCE_SECONDS} seconds`,
    );
  return text;
}

type SignatureCheck = (text: string, signature: string | null, secret: string, now: Date) => boolean;

/** The SDK's check, which is loaded by the first webhook. It needs no client and no key. */
async function signatureCheck(): Promise<SignatureCheck> {
  const { default: Stripe } = await import('stripe');
  const { signature: helper } = Stripe.webhooks;
  if (helper === null) throw new Error('the SDK has no check of signatures');
  return (text, signature, secret, now) => {
    try {
      return helper.verifyHeader(text, signature ?? '', secret, TOLERANCE_SECONDS, undefined, now.getTime());
    } catch (error) {
      if (error instanceof Stripe.errors.StripeSignatureVerificationError) return false;
      throw error;
    }
  };
}

function readSigned(settings: Settings, text: string): GivenEvent {
  const event = readEventText(text);
  if (isNoEvent(event)) throw refused(event.pointer, event.detail);
  const isLive = isLiveKey(settings.STRIPE_SECRET_KEY);
  if (isLive !== undefined && isLive !== event.livemode)
    throw refused(
      '/livemode',
      `is ${String(event.livemode)}, but the key of this service is not of that mode`,
    );
  return event;
}

/** Whether a secret or restricted key is of the live mode. Undefined without a key, and for one of an unknown form. */
function isLiveKey(key: string | undefined): boolean | undefined {
  const mode = /^[a-z]+_(live|test)_/.exec(key ?? '')?.[1];
  return mode === undefined ? undefined : mode === 'live';
}

function refused(pointer: string, detail: string): Problem {
  // Nothing of the body or the header: whoever sent it may want it in our log.
  log.warn('stripe-webhook-refused', { pointer, detail });
  return new Problem('INVALID_REQUEST', {
    detail: 'This is no webhook that is taken here.',
    errors: [{ pointer, detail }],
  });
}
