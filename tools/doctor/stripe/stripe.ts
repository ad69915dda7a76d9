import type Stripe from 'stripe';
import { missingEventTypes } from '../../../shared/domains/billing/events/webhook-event-types.ts';
import {
  STRIPE_API_VERSION,
  stripeErrorOf,
  stripeInBackground,
} from '../../../shared/domains/billing/stripe/client.ts';
import { names, notChecked, ok, problem, warning, type Check, type Finding } from '../check.ts';
import { describeError } from '../describe-error.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';

async function openStripe(patient: Patient): Promise<Stripe> {
  patient.need('STRIPE_SECRET_KEY');
  return stripeInBackground(patient.services.settings);
}

/** Whether the key works, with what the reconcile timer asks. */
export const stripeKey: Check = {
  name: 'stripe-key',
  group: 'stripe',
  looksAt: 'whether Stripe accepts the key, and of which mode the account’s events are',
  async run(patient) {
    const stripe = await openStripe(patient);
    let events;
    try {
      events = await stripe.events.list({ limit: 1 });
    } catch (error) {
      switch (stripeErrorOf(error)?.type) {
        case 'StripeAuthenticationError':
          return problem(
            `Stripe refuses the key: ${describeError(error)}`,
            'put a valid key into STRIPE_SECRET_KEY (Stripe → Developers → API keys)',
          );
        case 'StripePermissionError':
          return problem(
            `the key may not read events: ${describeError(error)}`,
            'give the restricted key the rights of docs/billing.md#connect-an-account',
          );
        case undefined:
        default:
          return problem(
            `Stripe does not answer: ${describeError(error)}`,
            patient.isLocal
              ? 'npm start'
              : 'see https://status.stripe.com, and whether api.stripe.com:443 is reached',
          );
      }
    }
    const isLive = events.data[0]?.livemode ?? /^[a-z]+_live_/.test(patient.need('STRIPE_SECRET_KEY'));
    const mode = isLive ? 'live' : 'test';
    const isWrong = (patient.environment === 'prod') !== isLive;
    if (!isWrong || patient.environment === undefined)
      return ok(`Stripe accepts the key, of the ${mode} mode`);
    return problem(
      `Stripe is in ${mode} mode, in ${patient.environment}`,
      `put a ${isLive ? 'test' : 'live'} key into STRIPE_SECRET_KEY, see docs/billing.md`,
    );
  },
};

const PATH = '/api/v1/webhooks/stripe';

function judgeEndpoint(endpoint: Stripe.WebhookEndpoint): Finding[] {
  const findings: Finding[] = [];
  const where = new URL(endpoint.url).host;
  if (endpoint.status !== 'enabled')
    findings.push(
      problem(
        `the endpoint ${endpoint.id} at ${where} is ${endpoint.status}: events come late, by the reconcile timer`,
        `stripe webhook_endpoints update ${endpoint.id} -d disabled=false`,
      ),
    );
  if (endpoint.api_version !== STRIPE_API_VERSION)
    findings.push(
      warning(
        `${endpoint.id} sends events of ${endpoint.api_version ?? 'the account’s own version'}; this build speaks ${STRIPE_API_VERSION}`,
        'make a second endpoint with that version, add its secret, then delete this one, see docs/billing.md#go-live',
      ),
    );
  const missing = missingEventTypes(endpoint.enabled_events);
  if (missing.length > 0)
    findings.push(
      warning(
        `${endpoint.id} does not send ${names(missing)}: their changes come late, by the reconcile timer`,
        `select them at Stripe → Developers → Webhooks → ${endpoint.id}, see docs/billing.md#connect-an-account`,
      ),
    );
  return findings;
}

/** Whether Stripe sends this deployment the events that it processes. */
export const stripeWebhook: Check = {
  name: 'stripe-webhook',
  group: 'stripe',
  looksAt: 'the webhook endpoint at Stripe: its address, state, API version and types of events',
  async run(patient) {
    const stripe = await openStripe(patient);
    let endpoints;
    try {
      endpoints = (await stripe.webhookEndpoints.list({ limit: 100 })).data;
    } catch (error) {
      if (stripeErrorOf(error)?.type === 'StripePermissionError')
        return notChecked(
          'the restricted key may not read webhook endpoints',
          'look at Stripe → Developers → Webhooks, or give the key the right to read Webhook Endpoints',
        );
      throw new NotChecked('Stripe does not answer, see stripe-key');
    }
    const own = patient.setting('API_PUBLIC_URL') ?? patient.url?.origin;
    const ours = endpoints.filter(({ url }) => {
      if (!URL.canParse(url) || !new URL(url).pathname.endsWith(PATH)) return false;
      return own === undefined || new URL(url).host === new URL(own).host;
    });
    if (ours.length === 0)
      return problem(
        `no endpoint leads to ${own ?? '…'}${PATH}: events come late, by the reconcile timer`,
        `stripe webhook_endpoints create --url ${own ?? 'https://<your API>'}${PATH} --api-version ${STRIPE_API_VERSION}, with the events of docs/billing.md#connect-an-account; put its secret into STRIPE_WEBHOOK_SECRETS`,
      );
    // While a version is being replaced there are two, and the newer one is what counts.
    const judged = ours.map((endpoint) => ({ endpoint, findings: judgeEndpoint(endpoint) }));
    const best = judged.toSorted((left, right) => left.findings.length - right.findings.length)[0];
    return best === undefined || best.findings.length > 0
      ? (best?.findings ?? [])
      : ok(`${best.endpoint.id} at ${new URL(best.endpoint.url).host} sends every event that is processed`);
  },
};
