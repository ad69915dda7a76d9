import { z } from 'zod';

const REASON_MAX = 1_000;

/** `POST /platform/tenants/{tenant_id}/erasure`. */
export const newErasure = z
  .strictObject({
    early: z
      .boolean()
      .default(false)
      .describe('True to erase before the end of the offboarding. Nobody can undo it.'),
    reason: z.string().min(1).max(REASON_MAX).nullable().default(null).describe('Required with `early`.'),
  })
  .refine(({ early, reason }) => !early || reason !== null, {
    path: ['reason'],
    message: 'is required with early',
  });

const place = z.object({
  database: z.string(),
  place: z.string(),
  done: z.number().describe('Rows that were deleted, or changed where they stay.'),
});

const found = z.object({
  database: z.string(),
  table: z.string(),
  rows: z.number(),
  naming: z
    .number()
    .describe('Other rows that name it: the platform’s, other tenants’, or texts of clients.'),
  why: z.string().describe('Why they stay.'),
});

const dataKey = z.object({
  key_id: z.string(),
  created_at: z.string(),
  destroyed_at: z.string().nullable(),
  versions: z
    .array(z.string())
    .describe(
      'Versions of the key-encryption key that wrapped it. Old backups open with them, as long as they exist.',
    ),
});

const blobs = z.object({
  remaining: z.number(),
  last_may_go_at: z.string().nullable().describe('When the last of them may be deleted.'),
  examples: z.array(z.object({ container_name: z.string(), blob_name: z.string(), may_go_at: z.string() })),
});

/** `POST /users/{user_id}/erasure`. */
export const newPersonErasure = z.strictObject({
  reason: z.string().min(1).max(REASON_MAX).nullable().default(null).describe('Without names: it is kept.'),
});

/** What an erasure has done, and what a search of every place found afterwards. */
const erasureReport = z.object({
  keys: z.array(dataKey),
  places: z.array(place),
  blobs,
  cache_keys: z.number().describe('Keys in Redis that name the tenant.'),
  found: z.array(found).describe('Every table that still names the tenant or the person, with the reason.'),
  account: z
    .enum(['deleted', 'kept'])
    .optional()
    .describe('Of a person: whether the account is deleted. It is kept while another tenant has the person.'),
});
export type ErasureReport = z.output<typeof erasureReport>;

const atStripe = z.object({
  stripe_customer_id: z.string(),
  live_subscriptions: z
    .array(z.string())
    .describe('Subscriptions that are live there, as far as is known here. Somebody is billed for them.'),
});

/** An erasure, as operators and owners see it. */
export const erasure = z.object({
  erasure_id: z.string(),
  tenant_id: z.string(),
  scope: z.enum(['tenant', 'person']),
  status: z
    .enum(['waiting', 'running', 'on_hold', 'completed', 'cancelled'])
    .describe('`on_hold`: the legal holds of `held_by` stop it. `cancelled`: the tenant stayed.'),
  step: z.string(),
  early: z.boolean(),
  reason: z.string().nullable(),
  requested_by: z.string(),
  requested_at: z.string(),
  started_at: z.string().nullable(),
  finished_at: z.string().nullable(),
  held_by: z.array(z.string()),
  attempts: z.number().describe('How often the current step has failed.'),
  error: z.string().nullable().describe('Why it failed last. It is tried again.'),
  steps: z.array(
    z.object({
      step: z.string(),
      started_at: z.string(),
      finished_at: z.string().nullable(),
      details: z.record(z.string(), z.unknown()),
    }),
  ),
  report: erasureReport.nullable(),
  at_stripe: z
    .array(atStripe)
    .optional()
    .describe(
      'Read for a tenant: what Stripe still has of it, now. A customer there is deleted or redacted by an operator, and then gone from here.',
    ),
});
export type ErasureView = z.output<typeof erasure>;
