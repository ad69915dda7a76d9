import { Problem } from '../../../platform/call/problem.ts';
import { isManagerNeeded, lockManagingKeys, requireManagerLeft, type Manager } from '../managing-keys.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { OPERATOR_ROLE_NAME, OWNER_ROLE_NAME } from '../roles/seed-roles.ts';
import { lockKeepers, rolesOnlyOf, type Keeper } from './keepers.ts';

/** A transaction of a tenant or of the cross-tenant role (`comply_jobs`). */
type Queries = Pick<TenantTransaction, 'query'>;

/** The people whom a tenant may not lose, and all who can make its keys and whom nothing but a request can end, locked. */
export interface Managers {
  readonly keepers: readonly Keeper[];
  readonly managers: readonly Manager[];
}

/** The name of a person among the managers. */
const managerOf = (userId: string): string => `user:${userId}`;

/** Locks the keepers and the managing keys of a tenant, always in this order. */
export async function lockManagers(transaction: Queries, tenantId: string, now: Date): Promise<Managers> {
  const keepers = await lockKeepers(transaction, [tenantId]);
  return { keepers, managers: await managersOf(transaction, tenantId, keepers, now) };
}

/** Locks the managing keys of a tenant whose keepers are locked. Of people, only owners count. */
export async function managersOf(
  transaction: Queries,
  tenantId: string,
  keepers: readonly Keeper[],
  now: Date,
): Promise<Manager[]> {
  const people = keepers
    .filter(({ role_name: role, can_sign_in: can }) => role === OWNER_ROLE_NAME && can)
    .map(({ user_id: userId }) => ({ id: managerOf(userId), expires_at: null }));
  return [...people, ...(await lockManagingKeys(transaction, tenantId, now))];
}

/** Whether the tenant cannot do without a person: its last owner, the platform's last operator, or the last one who could make keys. */
export function isNeeded({ keepers, managers }: Managers, userId: string, now: Date): boolean {
  return rolesOnlyOf(keepers, userId).length > 0 || isManagerNeeded(managers, managerOf(userId), now);
}

const LAST = {
  [OWNER_ROLE_NAME]: `The person is the tenant’s last owner: first give another one the role ${OWNER_ROLE_NAME} without an end.`,
  [OPERATOR_ROLE_NAME]: `The person is the platform’s last operator: first give another one the role ${OPERATOR_ROLE_NAME} without an end.`,
} as const;

/**
 * Refuses a change after which a person no longer has a role for good, if the tenant needs that person in it. Without `role`: after
 * which the person has none here.
 * @throws Problem 409 for the last owner, the platform's last operator, and the last one who could make keys.
 */
export function requireOthersLeft(
  { keepers, managers }: Managers,
  userId: string,
  now: Date,
  role?: string,
): void {
  const last = rolesOnlyOf(keepers, userId).find((only) => role === undefined || only === role);
  if (last !== undefined) throw new Problem('CONFLICT', { detail: LAST[last] });
  if (role === undefined || role === OWNER_ROLE_NAME) requireManagerLeft(managers, managerOf(userId), now);
}
