import { z } from 'zod';
import { freeForm, instant } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { lowerUuid, uuid } from '../../platform/ids/uuid.ts';

/** A filter by name. UUIDs are in lower case in the trail. */
const name = z.string().min(1).max(255).overwrite(lowerUuid).optional();
const outcome = z.enum(['success', 'denied', 'failure']);

/** `GET /audit-logs`. */
export const auditLogsQuery = z.object({
  ...pageQuery,
  actor: name,
  user_id: name,
  action: z.string().min(1).max(255).optional(),
  resource_type: z.string().min(1).max(255).optional(),
  resource_id: name,
  outcome: outcome.optional(),
  trace_id: z.string().min(1).max(64).optional().describe('The trace of the request: `x-ms-request-id`.'),
  from: instant.optional().describe('At or after this instant.'),
  to: instant.optional().describe('Before this instant.'),
});

/** An entry of the audit trail. */
export const auditLog = z.object({
  id: uuid,
  event_source: z.string(),
  event_id: z.string(),
  user_id: z.string().nullable(),
  actor: z.string().nullable(),
  action: z.string(),
  resource_type: z.string(),
  resource_id: z.string().nullable(),
  details: freeForm,
  outcome,
  ip_address: z.string().nullable(),
  user_agent: z.string().nullable(),
  trace_id: z.string().nullable(),
  azure_region: z.string(),
  subscription_id: z.string().nullable(),
  resource_group: z.string().nullable(),
  leaf_hash: z.string().describe('SHA-256 of 0x00 and the canonical bytes (RFC 6962), in hex.'),
  created_at: z.string().describe('When it happened.'),
  received_at: z.string(),
});

export type AuditLog = z.output<typeof auditLog>;

/** One entry, with the bytes that its hash covers. */
export const auditLogWithProof = auditLog.extend({
  canonical: z.string().describe('The canonical bytes (RFC 8785) that the leaf hash covers.'),
});
export type AuditLogWithProof = z.output<typeof auditLogWithProof>;
