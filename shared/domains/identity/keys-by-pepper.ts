import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** An API key whose hash is not under the current pepper. */
export interface KeyUnderOtherPepper {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly key_id: string;
  /** Null: not known, of a key from before this was stored. */
  readonly pepper_id: string | null;
  readonly last_used_at: string | null;
}

/** Keys that may still be used. An expired one is never used again, so nothing can hash it again, and nothing is lost with it. */
const IS_USABLE = `revoked_at is null and (expires_at is null or expires_at > now())`;

/** How many API keys that are neither revoked nor expired have their hash under each pepper. Null: not known. */
export function countKeysByPepper(
  database: CrossTenantDatabase,
): Promise<{ readonly pepper_id: string | null; readonly api_keys: number }[]> {
  return database.query<{ pepper_id: string | null; api_keys: number }>(
    `select pepper_id, count(*) as api_keys from api_keys where ${IS_USABLE} group by 1 order by 1`,
  );
}

/** The first keys that are neither revoked nor expired, and not under a pepper. */
export function listKeysUnderOtherPeppers(
  database: CrossTenantDatabase,
  pepperId: string,
  limit: number,
): Promise<KeyUnderOtherPepper[]> {
  return database.query<KeyUnderOtherPepper>(
    `select tenant_id, key_id, pepper_id, last_used_at from api_keys
      where ${IS_USABLE} and pepper_id is distinct from $1 order by pepper_id, key_id limit $2`,
    [pepperId, limit],
  );
}
