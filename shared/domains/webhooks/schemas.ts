import { z } from 'zod';
import { freeForm } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';
import { targetUrl } from '../../platform/outbound/target-url.ts';
import { DAY_MS } from '../../platform/time/clock.ts';
import { WEBHOOK_EVENT_TYPES, WEBHOOK_TEST } from './event-types.ts';

/** A day is long enough to give a receiver the new secret. */
const OVERLAP_DEFAULT_S = DAY_MS / 1000;
const OVERLAP_MAX_S = 30 * OVERLAP_DEFAULT_S;

const eventTypes = z
  .array(z.enum(WEBHOOK_EVENT_TYPES))
  .min(1)
  .max(WEBHOOK_EVENT_TYPES.length)
  .refine((types) => new Set(types).size === types.length, { message: 'must name each type once' });

const url = targetUrl.describe(
  'Where messages are sent: `https://`, a public host, the port 443, no user name, no fragment.',
);

/** `POST /webhook-endpoints`, and `PUT`, which replaces all of it. */
export const newEndpoint = z.strictObject({
  url,
  event_types: eventTypes.describe('What to send there.'),
  description: z.string().max(500).nullable().default(null),
  is_active: z
    .boolean()
    .default(true)
    .describe(
      'False: nothing is sent, and what happens then is not sent later. True: also an endpoint that was disabled is tried again.',
    ),
});
export type NewEndpoint = z.output<typeof newEndpoint>;

/** `callback` of a tenant's settings: one endpoint that the settings manage. */
export const callback = z.strictObject({
  url,
  event_types: eventTypes
    .default([...WEBHOOK_EVENT_TYPES])
    .describe('What to send there. Default: everything.'),
});
export type Callback = z.output<typeof callback>;

/** An endpoint as clients see it, without its secret. */
export const endpointView = z.object({
  endpoint_id: uuid,
  url: z.string(),
  event_types: z.array(z.string()),
  description: z.string().nullable(),
  is_active: z.boolean(),
  managed_by: z
    .string()
    .nullable()
    .describe('`tenant_config`: it is the `callback` of the tenant’s settings and is changed there.'),
  disabled_reason: z
    .string()
    .nullable()
    .describe(
      'Why this service has switched it off: `failing` (nothing accepted for 24 hours), or `gone` (it answered 410).',
    ),
  disabled_at: z.string().nullable(),
  failing_since: z.string().nullable().describe('The first failure since the last success.'),
  last_success_at: z.string().nullable(),
  old_secret_expires_at: z
    .string()
    .nullable()
    .describe('Until then, messages are signed with the secret before the last rotation too.'),
  created_by: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  etag: z.string().describe('The version, for If-Match.'),
});
export type EndpointView = z.output<typeof endpointView>;

/** An endpoint with its new secret. */
export const endpointWithSecret = endpointView.extend({
  secret: z
    .string()
    .nullable()
    .describe(
      'The signing secret (`whsec_…`). It is in this answer only: null when an Idempotency-Key is replayed.',
    ),
});
export type EndpointWithSecret = z.output<typeof endpointWithSecret>;

/** `POST /webhook-endpoints/{endpoint_id}/rotate-secret`; the body may be left out. */
export const secretRotation = z
  .strictObject({
    overlap_seconds: z
      .number()
      .int()
      .min(0)
      .max(OVERLAP_MAX_S)
      .default(OVERLAP_DEFAULT_S)
      .describe(
        'How long messages are signed with the old secret too. 0 for a secret that somebody else knows.',
      ),
  })
  .prefault({});
export type SecretRotation = z.output<typeof secretRotation>;

export const endpointParams = z.object({ endpoint_id: uuid });
export const endpointsQuery = z.object({ ...pageQuery });

const deliveryStatus = z.enum(['pending', 'delivered', 'failed', 'cancelled']);

/** A message to one endpoint, and what became of it. */
export const deliveryView = z.object({
  delivery_id: uuid,
  endpoint_id: uuid,
  event_id: z.string().describe('The header `webhook-id`: the same for each attempt and each endpoint.'),
  event_type: z.string(),
  status: deliveryStatus,
  attempts: z.number().int(),
  outcome: z
    .string()
    .nullable()
    .describe(
      'Of the last attempt, or why none was made: `delivered`, `redirected`, `client_error`, `server_error`, `gone`, `timeout`, ' +
        '`unreachable`, `tls`, `broken_off`, `refused`, `not_sent`, `endpoint_disabled`, `endpoint_deleted`, `tenant_inactive`.',
    ),
  response_status: z.number().int().nullable(),
  created_at: z.string(),
  last_attempt_at: z.string().nullable(),
  next_attempt_at: z.string().nullable().describe('When it is tried again at the latest.'),
  give_up_at: z.string().nullable().describe('A failure after this is the last one.'),
  delivered_at: z.string().nullable(),
});
export type DeliveryView = z.output<typeof deliveryView>;

/** One delivery, with what is sent. */
export const deliveryWithPayload = deliveryView.extend({ payload: freeForm });
export type DeliveryWithPayload = z.output<typeof deliveryWithPayload>;

export const deliveryParams = z.object({ delivery_id: uuid });
export const deliveriesQuery = z.object({
  ...pageQuery,
  endpoint_id: uuid.optional(),
  status: deliveryStatus.optional(),
  event_type: z.enum([...WEBHOOK_EVENT_TYPES, WEBHOOK_TEST]).optional(),
});
