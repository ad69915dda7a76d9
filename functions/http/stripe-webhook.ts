import { stripeWebhookReceipt } from '../../shared/domains/billing/events/event-schemas.ts';
import { receiveWebhook, type WebhookServices } from '../../shared/domains/billing/events/receive-webhook.ts';
import { publicEndpoint } from '../../shared/platform/http/endpoint.ts';

/**
 * More than an event can have: Stripe puts at most ten lines into an invoice, and fifty values of 500 characters into the
 * metadata of each.
 */
const BODY_LIMIT = 512 * 1024;

/** Where Stripe sends its events. */
export const stripeWebhookEndpoints = (services: () => WebhookServices) => [
  publicEndpoint({
    name: 'stripe-webhook',
    method: 'POST',
    path: 'v1/webhooks/stripe',
    tag: 'billing',
    summary: 'Take an event from Stripe',
    description:
      'Needs no key: `Stripe-Signature` says who sent it. The event is stored and processed later. A repeated event changes nothing.',
    rawBody: true,
    rawBodyType: 'application/json',
    bodyLimit: BODY_LIMIT,
    responses: { 200: { description: 'The event is stored.', schema: stripeWebhookReceipt } },
    run: ({ body, header }) =>
      receiveWebhook(services(), { bytes: body, signature: header('stripe-signature') }),
  }),
];
