import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** Whether a key exists and is not revoked. */
export async function isKeyAlive(
  core: CrossTenantDatabase,
  tenantId: string,
  keyId: string,
): Promise<boolean> {
  const rows = await core.query(
    `select 1 as one from api_keys where tenant_id = $1 and key_id = $2 and revoked_at is null`,
    [tenantId, keyId],
  );
  return rows.length > 0;
}

/**
 * Revokes a key again that a restored database has as valid, with the time of its revocation. The person who revoked it had left a key
 * that manages keys, so nothing is checked here.
 */
export async function revokeAgain(
  core: CrossTenantDatabase,
  tenantId: string,
  keyId: string,
  revokedAt: Date,
): Promise<void> {
  await core.query(
    `update api_keys set is_active = false, revoked_at = $3, updated_at = now(), version = version + 1
      where tenant_id = $1 and key_id = $2 and revoked_at is null`,
    [tenantId, keyId, revokedAt],
  );
}
