import type { Permission } from '../../platform/auth/permissions.ts';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { CrossTenantDatabase, TenantTransaction } from '../../platform/db/tenant-database.ts';
import { DAY_MS } from '../../platform/time/clock.ts';

/** A transaction of a tenant or of the cross-tenant role (`comply_jobs`). */
type Queries = Pick<TenantTransaction, 'query'>;

/**
 * A lasting manager is valid for at least this long. A tenant without one is locked out for good, so a key that ends sooner cannot be
 * the last one: a week is enough to notice and to make the next one.
 */
const LASTING_MS = 7 * DAY_MS;

/**
 * Who can make keys of a tenant: a key of its own, or an owner. A key that a person made does not count beside the person: it manages
 * nothing when that person leaves, and only of owners one must always be left.
 */
export interface Manager {
  readonly id: string;
  readonly expires_at: string | null;
}

/**
 * Locks and returns all of the tenant's live keys that manage keys and depend on nobody, in one order. Without the locks, two requests
 * at once could each revoke a key because the other key is left. With them, the second request sees the first one's change.
 */
export async function lockManagingKeys(
  transaction: Queries,
  tenantId: string,
  now: Date,
): Promise<readonly Manager[]> {
  const rows = await transaction.query<{ key_id: string; expires_at: string | null }>(
    `select k.key_id, k.expires_at from api_keys k
      where k.tenant_id = $1 and k.is_active and k.revoked_at is null and k.replaced_by is null
        and k.made_by_user is null and (k.expires_at is null or k.expires_at > $2) and k.permissions ? 'api_keys:manage'
      order by k.key_id for update`,
    [tenantId, now],
  );
  return rows.map(({ key_id, expires_at }) => ({ id: key_id, expires_at }));
}

/** Whether a tenant needs one of its managers: without it, none would be left that is valid for another week. */
export function isManagerNeeded(
  managers: readonly Manager[],
  ending: string,
  now: Date,
  added: readonly Manager[] = [],
): boolean {
  const ended = managers.find(({ id }) => id === ending);
  if (ended === undefined) return false;
  const left = [...managers.filter((manager) => manager !== ended), ...added];
  if (left.some((manager) => isLasting(manager, now))) return false;
  return left.length === 0 || isLasting(ended, now);
}

/**
 * Refuses a change that ends the tenant's last lasting manager of keys. `added`: those that take its place.
 * @throws Problem 409.
 */
export function requireManagerLeft(...given: Parameters<typeof isManagerNeeded>): void {
  if (!isManagerNeeded(...given)) return;
  throw new Problem('CONFLICT', {
    detail:
      'Nobody else would be left who manages the tenant’s keys for another 7 days: first make such a key that no person made, or another owner with a verified address.',
  });
}

function isLasting({ expires_at: end }: Manager, now: Date): boolean {
  return end === null || Date.parse(end) >= now.getTime() + LASTING_MS;
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
