import type { Permission } from '../../platform/auth/permissions.ts';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { CrossTenantDatabase, TenantTransaction } from '../../platform/db/tenant-database.ts';
import { DAY_MS } from '../../platform/time/clock.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';

/**
 * A lasting key is valid for at least this long. A tenant without a managing key is locked out for good, so a key that
 * ends sooner cannot be the last one: a week is enough to notice and to make the next one.
 */
const LASTING_MS = 7 * DAY_MS;

/** A key that can make other keys. */
export interface ManagingKey {
  readonly [column: string]: unknown;
  readonly key_id: string;
  readonly expires_at: string | null;
}

/**
 * Locks and returns all of the tenant's live keys that manage keys, in one order. Without the locks, two requests at once
 * could each revoke a key because the other key is left. With them, the second request sees the first one's change.
 */
export function lockManagingKeys(call: Call, transaction: TenantTransaction): Promise<ManagingKey[]> {
  return transaction.query<ManagingKey>(
    `select k.key_id, k.expires_at from api_keys k
      where k.tenant_id = $1 and k.is_active and k.revoked_at is null and k.replaced_by is null
        and (k.expires_at is null or k.expires_at > $2) and k.permissions ? 'api_keys:manage'
      order by k.key_id for update`,
    [call.tenant.tenantId, call.now],
  );
}

/**
 * Refuses a change that ends the tenant's last lasting key that manages keys. `added` is the successor of `ending`.
 * @throws Problem 409 if no managing key would be left that is valid for another week.
 */
export function requireManagingKeyLeft(
  call: Call,
  managing: readonly ManagingKey[],
  ending: string,
  added: readonly Pick<ManagingKey, 'expires_at'>[] = [],
): void {
  const ended = managing.find(({ key_id }) => key_id === ending);
  if (ended === undefined) return;
  const left = [...managing.filter((key) => key !== ended), ...added];
  if (left.some((key) => isLasting(key, call.now))) return;
  if (left.length > 0 && !isLasting(ended, call.now)) return;
  throw new Problem('CONFLICT', {
    detail:
      'It is the tenant’s last key that manages keys and lasts for another 7 days: make another such key first.',
  });
}

function isLasting(key: Pick<ManagingKey, 'expires_at'>, now: Date): boolean {
  return key.expires_at === null || Date.parse(key.expires_at) >= now.getTime() + LASTING_MS;
}

/** Until when the platform's keys with a permission are valid: how many there are, and the latest end, null for none. */
export async function measurePlatformKeys(
  core: CrossTenantDatabase,
  permission: Permission,
  now: Date,
): Promise<{ readonly keys: number; readonly lasts_until: string | null }> {
  const [row] = await core.query<{ keys: number; lasts_until: string | null }>(
    `select count(*) as keys, nullif(max(coalesce(k.expires_at, 'infinity')), 'infinity') as lasts_until from api_keys k
      where k.tenant_id = $1 and k.is_active and k.revoked_at is null
        and (k.expires_at is null or k.expires_at > $2) and k.permissions ? $3`,
    [PLATFORM_TENANT, now, permission],
  );
  return row ?? { keys: 0, lasts_until: null };
}
