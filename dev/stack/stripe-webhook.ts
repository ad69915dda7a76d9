import Stripe from 'stripe';
import { STRIPE_API_VERSION } from '../../shared/domains/billing/stripe/client.ts';
import { writeSecrets, type StackSecrets } from './secrets.ts';

/** The app's webhook endpoint at the stand-in. */
export interface StripeWebhook {
  readonly secret: string;
  /** Tells the stand-in where the app is. Events that wait are then delivered. */
  pointTo(baseUrl: string): Promise<void>;
}

/** Nothing listens here (9 is the port of the discard service). The app's address is known only after it has the secret. */
const NOWHERE = 'http://127.0.0.1:9/';

function connect(url: string, secretKey: string): Stripe {
  const { hostname, port } = new URL(url);
  return new Stripe(secretKey, { host: hostname, port: Number(port), protocol: 'http', telemetry: false });
}

/** Whether the stand-in has the endpoint: somebody may have deleted its state or the endpoint. */
async function hasEndpoint(stripe: Stripe, id: string): Promise<boolean> {
  try {
    return (await stripe.webhookEndpoints.retrieve(id)).status === 'enabled';
  } catch (error) {
    if (error instanceof Stripe.errors.StripeInvalidRequestError && error.statusCode === 404) return false;
    throw error;
  }
}

/** The app's webhook endpoint. It is made once, and its secret is kept, because Stripe shows it only then. */
export async function openStripeWebhook(
  folder: string,
  secrets: StackSecrets,
  url: string,
): Promise<{ webhook: StripeWebhook; secrets: StackSecrets }> {
  const stripe = connect(url, secrets.stripeSecretKey);
  let kept = secrets.stripeWebhook;
  let now = secrets;
  if (kept === undefined || !(await hasEndpoint(stripe, kept.endpoint))) {
    const { id, secret = '' } = await stripe.webhookEndpoints.create({
      url: NOWHERE,
      enabled_events: ['*'],
      api_version: STRIPE_API_VERSION,
    });
    kept = { endpoint: id, secret };
    now = { ...secrets, stripeWebhook: kept };
    writeSecrets(folder, now);
  }
  const { endpoint, secret } = kept;
  const pointTo = async (baseUrl: string): Promise<void> => {
    await stripe.webhookEndpoints.update(endpoint, { url: `${baseUrl}/api/v1/webhooks/stripe` });
  };
  return { webhook: { secret, pointTo }, secrets: now };
}
