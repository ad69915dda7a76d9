import { z } from 'zod';

/** A number in [0,1]: confidence, score, coverage. */
export const unit = z.number().min(0).max(1);

/** An object that is the client's own business. */
export const freeForm = z.record(z.string(), z.unknown());

/** An instant given by a client, RFC 3339 with any offset. */
export const instant = z.iso.datetime({ offset: true });

/** `{request_id}` in a path. */
export const requestIdParams = z.object({ request_id: z.uuid() });

/** `{id}` in a path. */
export const idParams = z.object({ id: z.uuid() });

/** A problem document, for the API's description. */
export const problemDocument = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string().optional(),
  instance: z.string(),
  trace_id: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
});
