import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { OWNER_ROLE_NAME } from '../roles/seed-roles.ts';

/** A transaction of a tenant or of the cross-tenant role (`comply_jobs`). */
type Queries = Pick<TenantTransaction, 'query'>;

/** An active owner of a tenant. */
export interface Owner {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly user_id: string;
  /** Whether the person can sign in here whatever happens elsewhere: with a verified address a password can be set again. */
  readonly can_sign_in: boolean;
}

/** SQL: whether an assignment makes its person an owner. One with an end does not: the tenant would be without owner after it. */
const IS_OWNER = `a.role_name = '${OWNER_ROLE_NAME}' and a.source = 'assigned' and a.is_active and a.expires_at is null`;

/**
 * Locks the assignments that make owners of tenants, in one order, and returns those of active people. Without the locks, two owners
 * could each remove the other because the other is left. With them, the second request sees the first one's change.
 */
export async function lockOwners(transaction: Queries, tenantIds: readonly string[]): Promise<Owner[]> {
  await transaction.query(
    `select a.user_id from user_role_assignments a where a.tenant_id = any($1::text[]) and ${IS_OWNER}
      order by a.tenant_id, a.user_id for update`,
    [tenantIds],
  );
  // A statement of its own: it sees what others committed while the first one waited, also in `users`.
  return transaction.query<Owner>(
    `select a.tenant_id, a.user_id, u.email is not null and u.is_verified as can_sign_in
       from user_role_assignments a join users u on u.user_id = a.user_id
      where a.tenant_id = any($1::text[]) and ${IS_OWNER} and u.is_active order by a.tenant_id, a.user_id`,
    [tenantIds],
  );
}

/** The tenants of which a person is an owner, in order. For the cross-tenant role. */
export async function tenantsOwnedBy(transaction: Queries, userId: string): Promise<string[]> {
  const rows = await transaction.query<{ tenant_id: string }>(
    `select a.tenant_id from user_role_assignments a where a.user_id = $1 and ${IS_OWNER} order by a.tenant_id`,
    [userId],
  );
  return rows.map(({ tenant_id }) => tenant_id);
}

/** Whether a person is the only owner of the tenant. */
export function isLastOwner(owners: readonly Owner[], userId: string): boolean {
  return (
    owners.some((owner) => owner.user_id === userId) && owners.every((owner) => owner.user_id === userId)
  );
}

/**
 * Orders what makes a person an owner before or after what deactivates the person: `shared` for the former, which row security keeps
 * from locking the person's row.
 */
export async function lockPerson(
  transaction: Queries,
  userId: string,
  mode: 'shared' | 'exclusive',
): Promise<void> {
  const lock = mode === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock';
  await transaction.query(`select ${lock}(hashtextextended('person:' || $1, 0))`, [userId]);
}
