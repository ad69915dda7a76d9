import { generateApiKey, hashApiKey } from '../../platform/auth/api-key.ts';
import { knownPermissions, type Permission } from '../../platform/auth/permissions.ts';
import type { Settings } from '../../platform/config/settings.ts';
import { json, type Parameter } from '../../platform/db/tenant-database.ts';
import { heldUntil, makerHeldSql, readHeldRoles } from './roles/held-roles.ts';
import type { ApiKey } from './schemas.ts';

/** A transaction of a tenant or of the cross-tenant role (`comply_jobs`). */
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
  /** Who makes it, spelled like an actor in audit entries. */
  readonly createdBy: string;
  /** The person whose permissions bound the key's. Null: nobody's. */
  readonly makerId: string | null;
}

/** A key's row, with {@link KEY_COLUMNS}. */
export type KeyRow = Omit<ApiKey, 'status' | 'effective_permissions'> & {
  /** The maker's roles; null without a maker. */
  readonly maker_held: unknown;
};

/** The columns of `api_keys k` for an answer, without the hash. */
export const KEY_COLUMNS = `k.key_id, k.key_name, k.key_prefix, k.permissions, k.rate_limit_per_hour, k.rate_limit_per_day,
  k.is_active, k.last_used_at, k.expires_at, k.revoked_at, k.replaced_by, k.created_by, k.made_by_user, k.created_at, k.updated_at,
  ${makerHeldSql('k')} as maker_held`;

/** Whether a key is valid at an instant, and if not, why. */
export function keyStatus(row: KeyRow, now: Date): ApiKey['status'] {
  if (row.revoked_at !== null) return 'revoked';
  if (!row.is_active || makerPermissions(row, now)?.size === 0) return 'inactive';
  return row.expires_at !== null && Date.parse(row.expires_at) <= now.getTime() ? 'expired' : 'active';
}

/** What the key's maker holds; undefined for a key without a maker. */
function makerPermissions(row: KeyRow, now: Date): ReadonlySet<Permission> | undefined {
  return row.made_by_user === null
    ? undefined
    : new Set(heldUntil(readHeldRoles(row.maker_held), now).keys());
}

/** A key as clients see it. */
export function presentKey(row: KeyRow, now: Date): ApiKey {
  const { maker_held: _held, ...shown } = row;
  const held = makerPermissions(row, now);
  const own = [...knownPermissions(row.permissions)];
  return {
    ...shown,
    effective_permissions: held === undefined ? own : own.filter((permission) => held.has(permission)),
    status: keyStatus(row, now),
  };
}

/** Makes a key in the caller's transaction. `credential` is its text, which is not stored. */
export async function insertKey(
  settings: Settings,
  transaction: Queries,
  key: KeyToMake,
  now: Date,
): Promise<{ readonly row: KeyRow; readonly credential: string }> {
  const made = generateApiKey(settings.DEPLOYMENT_ENVIRONMENT);
  const [row] = await transaction.query<KeyRow>(
    `insert into api_keys as k (tenant_id, key_id, key_name, key_hash, key_prefix, permissions, rate_limit_per_hour,
       rate_limit_per_day, expires_at, created_by, made_by_user, created_at, updated_at)
     values ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $1, $1) returning ${KEY_COLUMNS}`,
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
      key.makerId,
    ],
  );
  if (row === undefined) throw new Error('the key was not inserted');
  return { row, credential: made.credential };
}
