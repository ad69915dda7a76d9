import { z } from 'zod';
import { freeForm, tenantId } from '../../../platform/http/fields.ts';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { uuid } from '../../../platform/ids/uuid.ts';
import { MISMATCH_KINDS } from '../stripe/mismatches.ts';

/** The answer to a webhook. Stripe reads only its status; a person reads it in Stripe's log of deliveries. */
export const stripeWebhookReceipt = z.object({
  event_id: z.string(),
  status: z
    .enum(['received', 'ignored', 'repeated'])
    .describe('`ignored`: stored, but nothing here depends on events of its type. `repeated`: it was there.'),
});
export type StripeWebhookReceipt = z.output<typeof stripeWebhookReceipt>;

const EVENT_STATUSES = ['received', 'processed', 'ignored', 'failed', 'mismatch'] as const;

/** `{event_id}` in a path. */
export const stripeEventParams = z.object({
  event_id: z.string().regex(/^\w{1,255}$/, 'is not the id of an event'),
});

/** `GET /platform/billing/events`. */
export const stripeEventsQuery = z.object({
  ...pageQuery,
  status: z.enum(EVENT_STATUSES).optional(),
  type: z
    .string()
    .regex(/^[a-z0-9_.]{1,255}$/, 'is not a type of event')
    .optional(),
  tenant: tenantId.optional().describe('Known once the event is processed.'),
});

/** An event of Stripe, without its payload. */
export const stripeEventItem = z.object({
  event_id: z.string(),
  type: z.string(),
  api_version: z.string().nullable(),
  livemode: z.boolean(),
  object_type: z.string().nullable(),
  object_id: z.string().nullable(),
  tenant_id: z.string().nullable(),
  created: z.string().describe('When Stripe made it.'),
  received_at: z.string(),
  found_by: z.enum(['webhook', 'reconcile']),
  status: z
    .enum(EVENT_STATUSES)
    .describe(
      '`received` waits. `mismatch`: something differs that has to be looked at. `failed`: it cannot be processed, `error` says why.',
    ),
  attempts: z.number(),
  next_attempt_at: z.string().nullable(),
  processed_at: z.string().nullable(),
  error: z.string().nullable().describe('The code of the last error.'),
});
export type StripeEventItem = z.output<typeof stripeEventItem>;

/** An event with what Stripe sent. */
export const stripeEventWithPayload = stripeEventItem.extend({
  payload: freeForm.nullable().describe('Null after 90 days.'),
});
export type StripeEventWithPayload = z.output<typeof stripeEventWithPayload>;

/** The answer to a replay. */
export const stripeEventReplayed = stripeEventItem.pick({ event_id: true, type: true, status: true });
export type StripeEventReplayed = z.output<typeof stripeEventReplayed>;

/** `GET /platform/billing/mismatches`. */
export const mismatchesQuery = z.object({
  ...pageQuery,
  state: z.enum(['open', 'resolved', 'all']).default('open'),
  kind: z.enum(MISMATCH_KINDS).optional(),
  object_id: z.string().min(1).max(255).optional(),
  tenant: tenantId.optional(),
});

/** Where Stripe and this service differ. */
export const mismatchItem = z.object({
  mismatch_id: uuid,
  kind: z
    .enum(MISMATCH_KINDS)
    .describe(
      '`mended`: a row that no event had told of, and that is right again. It stays open until the object is looked at again, at the latest a day later.',
    ),
  object_type: z.string(),
  object_id: z.string(),
  tenant_id: z.string().nullable(),
  details: freeForm,
  found_at: z.string(),
  last_seen_at: z.string(),
  resolved_at: z.string().nullable(),
});
export type MismatchItem = z.output<typeof mismatchItem>;
