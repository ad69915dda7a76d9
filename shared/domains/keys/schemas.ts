import { z } from 'zod';

const age = z.number().int().nullable().describe('In whole days. Null: not known.');
const amount = z.number().int();

const keyVersion = z.object({
  version: z.string(),
  state: z
    .enum(['enabled', 'disabled', 'missing', 'unknown'])
    .describe('`missing`: the vault does not have it. `unknown`: the vault cannot be asked now.'),
  is_newest: z.boolean(),
  created_at: z.string().nullable(),
  age_days: age,
  expires_at: z.string().nullable(),
  data_keys: amount.describe('The living data keys that it wraps. It wraps nothing else.'),
  last_used_at: z.string().nullable().describe('To the hour. Null: not since this is written down.'),
  may_be_disabled: z.boolean().describe('Whether it wraps nothing, and nothing will be wrapped with it.'),
});

/** `GET /platform/keys`. Never a key. */
export const platformKeys = z.object({
  key_encryption: z.object({
    vault: z.string().nullable().describe('Null: the key is in a setting.'),
    secret: z.string(),
    problem: z.string().nullable().describe('Why the vault cannot be asked now.'),
    newest_version: z.string().nullable(),
    data_keys_to_rewrap: amount.nullable().describe('Null: the newest version is not known.'),
    versions: z.array(keyVersion),
  }),
  data_keys: z.object({
    living: amount,
    destroyed: amount,
    oldest_created_at: z.string().nullable(),
    oldest_age_days: age,
  }),
  peppers: z.array(
    z.object({
      pepper_id: z.string().nullable().describe('Tells peppers apart, and nothing of them. Null: not known.'),
      role: z
        .enum(['current', 'previous', 'unknown'])
        .describe('`unknown`: in no setting. Its keys are refused; those without an id are tried with both.'),
      api_keys: amount,
    }),
  ),
  api_keys_to_rehash: z.object({
    count: amount,
    keys: z
      .array(
        z.object({
          tenant_id: z.string(),
          key_id: z.string(),
          pepper_id: z.string().nullable(),
          last_used_at: z.string().nullable(),
        }),
      )
      .describe('The first 500. Each is hashed again when it is used.'),
  }),
});
export type PlatformKeys = z.output<typeof platformKeys>;
export type ShownKeyVersion = z.output<typeof keyVersion>;
