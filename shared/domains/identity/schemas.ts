import { z } from 'zod';
import { PERMISSION_SETS, PERMISSIONS } from '../../platform/auth/permissions.ts';
import { instant } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { DAY_MS } from '../../platform/time/clock.ts';

/** The highest rate of a key: more than one client can send. So no key needs "no limit". */
const RATE_PER_HOUR_MAX = 1_000_000;
const RATE_PER_DAY_MAX = 10_000_000;
/** A key's default limits, from the API reference. */
export const RATE_PER_HOUR_DEFAULT = 1000;
export const RATE_PER_DAY_DEFAULT = 10_000;

/** A key's requests in an hour. */
export const ratePerHour = z.number().int().min(1).max(RATE_PER_HOUR_MAX);
/** A key's requests in a day. */
export const ratePerDay = z.number().int().min(1).max(RATE_PER_DAY_MAX);

/** A day is long enough to roll out a new key. */
const OVERLAP_DEFAULT_S = DAY_MS / 1000;
/** For a longer overlap, use two keys. */
const OVERLAP_MAX_S = 30 * OVERLAP_DEFAULT_S;

/** The sets that a tenant's owner can give. */
const PERMISSION_SET_NAMES = ['reader', 'writer', 'owner'] as const;

const keyName = z.string().min(1).max(200);

/** `POST /api-keys`. */
export const newApiKey = z
  .strictObject({
    key_name: keyName,
    permissions: z
      .array(z.enum(PERMISSIONS))
      .min(1)
      .optional()
      .describe('Not more than the caller’s own key has.'),
    permission_set: z.enum(PERMISSION_SET_NAMES).optional().describe('Instead of `permissions`.'),
    rate_limit_per_hour: ratePerHour
      .optional()
      .describe(
        `Not above the caller’s own; left out, ${RATE_PER_HOUR_DEFAULT} or the caller’s own if lower.`,
      ),
    rate_limit_per_day: ratePerDay
      .optional()
      .describe(
        `Not above the caller’s own; left out, ${RATE_PER_DAY_DEFAULT} or the caller’s own if lower.`,
      ),
    expires_at: instant
      .nullable()
      .optional()
      .describe('Not later than the caller’s own; left out, the caller’s own. Null: it does not expire.'),
  })
  .refine((body) => (body.permissions === undefined) !== (body.permission_set === undefined), {
    path: ['permissions'],
    message: 'give either permissions or permission_set',
  });
export type NewApiKey = z.output<typeof newApiKey>;

/** The permissions that a body asks for. */
export function permissionsOf(body: NewApiKey): readonly (typeof PERMISSIONS)[number][] {
  if (body.permission_set !== undefined) return PERMISSION_SETS[body.permission_set];
  return [...new Set(body.permissions)];
}

/** `POST /api-keys/{key_id}/rotate`; the body may be left out. */
export const rotation = z
  .strictObject({
    overlap_seconds: z
      .number()
      .int()
      .min(0)
      .max(OVERLAP_MAX_S)
      .default(OVERLAP_DEFAULT_S)
      .describe('How long the old key stays valid.'),
    expires_at: instant
      .nullable()
      .optional()
      .describe(
        'When the new key expires, not later than the caller’s own; left out, it lives as long as the old one was made for, or until the caller’s own ends.',
      ),
  })
  .prefault({});
export type Rotation = z.output<typeof rotation>;

/** `{key_id}` in a path. */
export const keyIdParams = z.object({ key_id: z.string().regex(/^[a-z0-9]{20}$/) });

/** A key as clients see it, without its secret and hash. */
export const apiKey = z.object({
  key_id: z.string(),
  key_name: z.string(),
  key_prefix: z.string().describe('The first characters of the key, to tell it from others.'),
  permissions: z.array(z.string()),
  effective_permissions: z
    .array(z.string())
    .describe('Those that count now: of a key that a person made, only what this person holds.'),
  rate_limit_per_hour: z.number().int(),
  rate_limit_per_day: z.number().int(),
  status: z
    .enum(['active', 'expired', 'revoked', 'inactive'])
    .describe('`inactive`: also if the person who made it holds no role any more. Another one can adopt it.'),
  is_active: z.boolean(),
  last_used_at: z.string().nullable(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  replaced_by: z.string().nullable().describe('The successor that a rotation made.'),
  created_by: z.string().nullable(),
  made_by_user: z
    .string()
    .nullable()
    .describe('The person who answers for the key. Null: it depends on nobody.'),
  created_at: z.string(),
  updated_at: z.string(),
});

export type ApiKey = z.output<typeof apiKey>;

/** The description of a field with a secret. */
export const SHOWN_ONCE =
  'The key itself. It is in this answer only and is not stored: null when an Idempotency-Key is replayed.';

/** A key just made. */
export const apiKeyCreated = z.object({
  ...apiKey.shape,
  api_key: z.string().nullable().describe(SHOWN_ONCE),
});

export type ApiKeyCreated = z.output<typeof apiKeyCreated>;

/** A key just rotated. */
export const apiKeyRotated = z.object({
  ...apiKeyCreated.shape,
  replaces: z
    .object({ key_id: z.string(), expires_at: z.string() })
    .describe('The old key, with the time of its end.'),
});

export type ApiKeyRotated = z.output<typeof apiKeyRotated>;

/** `GET /api-keys`. */
export const apiKeysQuery = z.object({
  ...pageQuery,
  is_active: z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'] }).optional(),
});
