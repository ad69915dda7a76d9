import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import { DAY_MS } from '../../platform/time/clock.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';

/**
 * A managing key lasts if it has at least this long to live. A tenant without a managing key is locked out for good, so
 * one that ends sooner does not stand in for another: a week is time to notice and to make the next one.
 */
const LASTING_MS = 7 * DAY_MS;

/** A key that can make others, and how long it will. */
export interface ManagingKey {
  readonly [column: string]: unknown;
  readonly key_id: string;
  readonly expires_at: string | null;
}

/**
 * Locks all of the tenant's live keys that manage keys, in one order, and answers them: of two requests at once that would
 * each leave the other's key as the last one, the second sees what the first did.
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
 * Holds that a tenant never loses its last lasting key that manages keys. `added`: what takes the place of `ending`.
 * @throws Problem 409 where only keys would be left that end within a week, or none.
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
