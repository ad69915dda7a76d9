import type { Outcome } from './deliveries.ts';

interface Message {
  readonly url: string;
  readonly body: string;
  readonly signature: string;
  readonly timeoutMs: number;
  /** Ends the attempt; the outcome then means nothing. */
  readonly signal: AbortSignal;
}

function describe(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}

/** Posts an event as Stripe does. Only a 2xx is a success; a redirect is not followed. Never throws. */
export async function send({ url, body, signature, timeoutMs, signal }: Message): Promise<Outcome> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        Accept: '*/*; q=0.5, application/xml',
        'Cache-Control': 'no-cache',
        'Content-Type': 'application/json; charset=utf-8',
        'Stripe-Signature': signature,
        'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.arrayBuffer();
    return { status: response.status, error: response.ok ? null : `answered ${response.status}` };
  } catch (error) {
    return { status: null, error: describe(error) };
  }
}
