import { Problem } from '../../../platform/call/problem.ts';
import { isManagerNeeded, lockManagingKeys, requireManagerLeft, type Manager } from '../managing-keys.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { OWNER_ROLE_NAME } from '../roles/seed-roles.ts';
import { isLastOwner, lockOwners, type Owner } from './owners.ts';

/** A transaction of a tenant or of the cross-tenant role (`comply_jobs`). */
type Queries = Pick<TenantTransaction, 'query'>;

/** All who can make keys of a tenant and whom nothing but a request can end, locked. */
export interface Managers {
  readonly owners: readonly Owner[];
  readonly managers: readonly Manager[];
}

/** The name of a person among the managers. */
const managerOf = (userId: string): string => `user:${userId}`;

/** Locks the owners and the managing keys of a tenant, always in this order. */
export async function lockManagers(transaction: Queries, tenantId: string, now: Date): Promise<Managers> {
  const owners = await lockOwners(transaction, [tenantId]);
  return { owners, managers: await managersOf(transaction, tenantId, owners, now) };
}

/** Locks the managing keys of a tenant whose owners are locked. */
export async function managersOf(
  transaction: Queries,
  tenantId: string,
  owners: readonly Owner[],
  now: Date,
): Promise<Manager[]> {
  const people = owners
    .filter(({ can_sign_in: can }) => can)
    .map(({ user_id: userId }) => ({ id: managerOf(userId), expires_at: null }));
  return [...people, ...(await lockManagingKeys(transaction, tenantId, now))];
}

/** Whether the tenant cannot do without a person: its last owner, or the last one who could make keys. */
export function isNeeded({ owners, managers }: Managers, userId: string, now: Date): boolean {
  return isLastOwner(owners, userId) || isManagerNeeded(managers, managerOf(userId), now);
}

/**
 * Refuses a change after which a person is no longer an owner, if the tenant needs that person.
 * @throws Problem 409 for the last owner, and for the last one who could make keys.
 */
export function requireOthersLeft({ owners, managers }: Managers, userId: string, now: Date): void {
  if (isLastOwner(owners, userId))
    throw new Problem('CONFLICT', {
      detail: `The person is the tenant’s last owner: first give another one the role ${OWNER_ROLE_NAME} without an end.`,
    });
  requireManagerLeft(managers, managerOf(userId), now);
}
