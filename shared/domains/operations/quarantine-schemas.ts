import { z } from 'zod';
import { freeForm } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';
import { QUARANTINE_REASONS } from '../../platform/consume/refusal.ts';

const status = z.enum(['open', 'replayed', 'discarded']);

/** `GET /platform/quarantine`. */
export const quarantineQuery = z.object({
  ...pageQuery,
  queue: z.string().min(1).max(260).optional(),
  reason: z.enum(QUARANTINE_REASONS).optional(),
  status: status.optional(),
});

/** A message in quarantine, without its body. */
export const quarantineItem = z.object({
  id: uuid,
  queue: z.string().describe('`outbox`: what an outbox held that no queue takes, or that is no event.'),
  reason: z.enum(QUARANTINE_REASONS),
  detail: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  tenant_id: z.string().nullable().describe('Whom it speaks of, as far as that can be told.'),
  message_id: z.string().nullable(),
  body_bytes: z.number(),
  status,
  attempts: z.number().describe('How often it was replayed.'),
  created_at: z.string(),
  resolved_at: z.string().nullable(),
  resolved_by: z.string().nullable(),
  resolution: z.string().nullable().describe('Why it was discarded, or as which message it was replayed.'),
});

export type QuarantineItem = z.output<typeof quarantineItem>;

/** A message in quarantine as it came. */
export const quarantineItemWithBody = quarantineItem.extend({
  body: z.string(),
  body_encoding: z.enum(['utf-8', 'base64']).describe('base64: the body is not UTF-8.'),
  properties: freeForm,
});

export type QuarantineItemWithBody = z.output<typeof quarantineItemWithBody>;

/** `POST /platform/quarantine/{id}/replay`. */
export const replayBody = z.strictObject({
  body: z
    .union([z.record(z.string(), z.unknown()), z.array(z.record(z.string(), z.unknown())).min(1).max(1000)])
    .optional()
    .describe('The mended event, or several; without it the original goes again, byte by byte.'),
});

/** `POST /platform/quarantine/{id}/discard`. */
export const discardBody = z.strictObject({ reason: z.string().min(1).max(500) });

/** The answer to a replay. */
export const replayed = quarantineItem.pick({ id: true, queue: true, status: true, attempts: true }).extend({
  message_id: z.string().describe('The message that it went as.'),
});
export type Replayed = z.output<typeof replayed>;

/** The answer to a discard. */
export const discarded = replayed.omit({ message_id: true });
export type Discarded = z.output<typeof discarded>;
