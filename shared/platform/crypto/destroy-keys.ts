import type { CrossTenantDatabase } from '../db/tenant-database.ts';

/** What is known of a tenant's data key, living or destroyed. Never the key. */
export interface DataKeyFacts {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly key_id: string;
  /** Every version of the key-encryption key that ever wrapped it. With one of them, an old backup opens it. */
  readonly versions: readonly string[];
  readonly created_at: string;
  readonly destroyed_at: string | null;
}

/** A tenant's data keys, in the order of their creation. */
export function listDataKeys(database: CrossTenantDatabase, tenantId: string): Promise<DataKeyFacts[]> {
  return database.query<DataKeyFacts>(
    `select tenant_id, key_id, to_json(array_remove(wrapped_before, wrapped_with) || wrapped_with) as versions, created_at,
            destroyed_at
       from ops.data_keys where tenant_id = $1 order by created_at, key_id`,
    [tenantId],
  );
}

/**
 * Destroys data keys, which erases what they sealed, wherever it is. The rows stay, without the key, and a trigger refuses to give
 * them one again. Returns the ids of those that were alive.
 */
export async function destroyDataKeys(
  database: Pick<CrossTenantDatabase, 'query'>,
  tenantId: string,
  keyIds: readonly string[],
  at: Date,
): Promise<string[]> {
  const rows = await database.query<{ key_id: string }>(
    `update ops.data_keys set wrapped_key = null, destroyed_at = $3
      where tenant_id = $1 and key_id = any($2::uuid[]) and wrapped_key is not null returning key_id`,
    [tenantId, keyIds, at],
  );
  return rows.map(({ key_id }) => key_id);
}

/** Those of some keys that are alive. */
export async function findLivingKeys(
  database: CrossTenantDatabase,
  tenantId: string,
  keyIds: readonly string[],
): Promise<string[]> {
  const rows = await database.query<{ key_id: string }>(
    `select key_id from ops.data_keys where tenant_id = $1 and key_id = any($2::uuid[]) and wrapped_key is not null`,
    [tenantId, keyIds],
  );
  return rows.map(({ key_id }) => key_id);
}
