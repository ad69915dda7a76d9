import { afterAll } from 'vitest';
import { startTestStripe, type TestStripe } from '../../dev/stripe/test-stripe.ts';
import { STRIPE_API_VERSION } from '../../shared/domains/billing/stripe/client.ts';
import { startTestApp, type TestApp, type TestAppOptions } from './app.ts';

/** Where the tests' checkout and portal may send a person back. */
export const RETURN_ORIGIN = 'https://app.globex.example';

/** The app and the Stripe that it bills through, each knowing the other. */
export interface BillingApp {
  readonly app: TestApp;
  readonly stripe: TestStripe;
  /** The secret that Stripe signs webhooks with. */
  readonly webhookSecret: string;
  /** The id of the app's webhook endpoint at Stripe. */
  readonly webhookEndpoint: string;
}

/** Options of a test app with Stripe. */
export interface BillingAppOptions extends TestAppOptions {
  /** The options of the stand-in. */
  readonly stripe?: Parameters<typeof startTestStripe>[0];
  /** False: Stripe sends the app no webhooks until the test updates the endpoint. */
  readonly webhooks?: boolean;
}

/** Like `startTestApp`, with a Stripe that sends its webhooks to the app. */
export async function startBillingApp(options: BillingAppOptions = {}): Promise<BillingApp> {
  const stripe = await startTestStripe(options.stripe);
  // Registered before the app's own: hooks run in reverse order, so the app stops first.
  afterAll(() => stripe.close());
  // The app must know the secret when it starts, and its address is known only then. Port 9 discards.
  const endpoint = await stripe.stripe.webhookEndpoints.create({
    url: 'http://127.0.0.1:9/not-yet',
    enabled_events: ['*'],
    api_version: STRIPE_API_VERSION,
  });
  const { secret = '' } = endpoint;
  const app = await startTestApp({
    ...options,
    settings: {
      STRIPE_SECRET_KEY: stripe.secretKey,
      STRIPE_API_URL: stripe.server.url,
      STRIPE_WEBHOOK_SECRETS: secret,
      BILLING_RETURN_ORIGINS: RETURN_ORIGIN,
      ...options.settings,
    },
  });
  if (options.webhooks !== false)
    await stripe.stripe.webhookEndpoints.update(endpoint.id, {
      url: `${app.baseUrl}/api/v1/webhooks/stripe`,
    });
  return { app, stripe, webhookSecret: secret, webhookEndpoint: endpoint.id };
}
