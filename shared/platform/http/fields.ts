import { z } from 'zod';
import { INSTANT_BOUNDS, isOutOfRange } from '../time/instant.ts';
import { uuid } from '../ids/uuid.ts';

/** A number in [0,1]: confidence, score, coverage. */
export const unit = z.number().min(0).max(1);

/** An object whose content only the client defines. */
export const freeForm = z.record(z.string(), z.unknown());

/** PostgreSQL accepts offsets below 16 hours. Real offsets are from -12 to +14. */
const OFFSET_TOO_FAR = /[+-](?:1[6-9]|2\d):\d\d$/;
/** Enough for a date, a time, an offset and more digits of a second than anyone measures. PostgreSQL's limit is 128. */
const INSTANT_LENGTH_MAX = 64;

/** A client's instant, RFC 3339 with any offset. PostgreSQL and a `Date` can both store it. */
export const instant = z.iso
  // A value that is not an instant gets only this fault, and not that it is out of range too.
  .datetime({ offset: true, abort: true })
  .max(INSTANT_LENGTH_MAX)
  .refine((text) => !isOutOfRange(Date.parse(text)), { message: INSTANT_BOUNDS })
  .refine((text) => !OFFSET_TOO_FAR.test(text), { message: 'must have an offset below 16 hours' });

/** A tenant's id. Safe in a blob path, a log line and a host name. */
export const tenantId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, “-” and “_”, a letter or digit first');

/** `{tenant_id}` in an operator's path. */
export const tenantParams = z.object({ tenant_id: tenantId });

/** `{request_id}` in a path. */
export const requestIdParams = z.object({ request_id: uuid });

/** `{id}` in a path. */
export const idParams = z.object({ id: uuid });

/** A problem document, for the API's description. */
export const problemDocument = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string().optional(),
  instance: z.string(),
  trace_id: z.string(),
  usage_type: z
    .string()
    .optional()
    .describe('Of `QUOTA_EXCEEDED`: the type of usage whose allowance is spent.'),
  resets_at: z.string().optional().describe('Of `QUOTA_EXCEEDED`: when the allowance is reset.'),
  'violated-policies': z
    .array(z.string())
    .optional()
    .describe('Of `RATE_LIMITED`: the names of the windows that are used up.'),
  reason: z
    .string()
    .optional()
    .describe('Of a sign-in with the right password: what else is missing, or wrong.'),
  tenants: z
    .array(z.object({ tenant_id: z.string(), name: z.string() }))
    .optional()
    .describe('Of a sign-in: the tenants to choose from.'),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
});
