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
  queue: z
    .string()
    .describe('`outbox`: an outbox row that is not an event, or an event that no queue takes.'),
  reason: z.enum(QUARANTINE_REASONS),
  detail: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  tenant_id: z.string().nullable().describe('The tenant of the event, if it can be determined.'),
  message_id: z.string().nullable(),
  body_bytes: z.number(),
  status,
  attempts: z.number().describe('The number of replays.'),
  created_at: z.string(),
  resolved_at: z.string().nullable(),
  resolved_by: z.string().nullable(),
  resolution: z
    .string()
    .nullable()
    .describe('The reason for discarding it, or the message id of its replay.'),
});

export type QuarantineItem = z.output<typeof quarantineItem>;

/** A message in quarantine with its original body. */
export const quarantineItemWithBody = quarantineItem.extend({
  body: z.string(),
  body_encoding: z.enum(['utf-8', 'base64']).describe('`base64` if the body is not UTF-8.'),
  properties: freeForm,
});

export type QuarantineItemWithBody = z.output<typeof quarantineItemWithBody>;

/** `POST /platform/quarantine/{id}/replay`. */
export const replayBody = z.strictObject({
  body: z
    .union([z.record(z.string(), z.unknown()), z.array(z.record(z.string(), z.unknown())).min(1).max(1000)])
    .optional()
    .describe('The corrected event, or several. Without it the original is sent again, byte for byte.'),
});

/** `POST /platform/quarantine/{id}/discard`. */
export const discardBody = z.strictObject({ reason: z.string().min(1).max(500) });

/** The answer to a replay. */
export const replayed = quarantineItem.pick({ id: true, queue: true, status: true, attempts: true }).extend({
  message_id: z.string().describe('The id of the message that was sent.'),
});
export type Replayed = z.output<typeof replayed>;

/** The answer to a discard. */
export const discarded = replayed.omit({ message_id: true });
export type Discarded = z.output<typeof discarded>;
