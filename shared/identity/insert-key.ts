import { generateApiKey, hashApiKey } from '../auth/api-key.ts';
import type { Permission } from '../auth/permissions.ts';
import type { Settings } from '../config/settings.ts';
import { json, type Parameter } from '../db/tenant-database.ts';

/** A transaction of a tenant's or of the jobs role. */
export interface Queries {
  query<T extends Record<string, unknown>>(text: string, parameters?: readonly Parameter[]): Promise<T[]>;
}

/** A key to be made. */
export interface KeyToMake {
  readonly tenantId: string;
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly rateLimitPerHour: number;
  readonly rateLimitPerDay: number;
  /** Null: never. */
  readonly expiresAt: Date | null;
  /** Who makes it, as audit entries name actors. */
  readonly createdBy: string;
}

/** A key as the database tells it: {@link KEY_COLUMNS}. */
export interface KeyRow {
  readonly [column: string]: unknown;
  readonly key_id: string;
  readonly key_name: string;
  readonly permissions: unknown;
  readonly rate_limit_per_hour: number;
  readonly rate_limit_per_day: number;
  readonly status: 'active' | 'expired' | 'revoked' | 'inactive';
  readonly expires_at: string | null;
  readonly replaced_by: string | null;
  readonly created_at: string;
}

/** A key's columns for an answer, of `api_keys k`; never the hash. `now` is the parameter that holds the time. */
export const keyColumns = (
  now: string,
): string => `k.key_id, k.key_name, k.key_prefix, k.permissions, k.rate_limit_per_hour,
  k.rate_limit_per_day, case when k.revoked_at is not null then 'revoked' when not k.is_active then 'inactive'
    when k.expires_at <= ${now}::timestamptz then 'expired' else 'active' end as status,
  k.is_active, k.last_used_at, k.expires_at, k.revoked_at, k.replaced_by, k.created_by, k.created_at, k.updated_at`;

/** Makes a key in the caller's transaction. `credential` is its text, which is kept nowhere. */
export async function insertKey(
  settings: Settings,
  transaction: Queries,
  key: KeyToMake,
  now: Date,
): Promise<{ readonly row: KeyRow; readonly credential: string }> {
  const made = generateApiKey(settings.DEPLOYMENT_ENVIRONMENT);
  const [row] = await transaction.query<KeyRow>(
    `insert into api_keys as k (tenant_id, key_id, key_name, key_hash, key_prefix, permissions, rate_limit_per_hour,
       rate_limit_per_day, expires_at, created_by, created_at, updated_at)
     values ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $1, $1) returning ${keyColumns('$1')}`,
    [
      now,
      key.tenantId,
      made.keyId,
      key.name,
      hashApiKey(settings.API_KEY_PEPPER, made),
      made.prefix,
      json(key.permissions),
      key.rateLimitPerHour,
      key.rateLimitPerDay,
      key.expiresAt,
      key.createdBy,
    ],
  );
  if (row === undefined) throw new Error('the key was not inserted');
  return { row, credential: made.credential };
}
