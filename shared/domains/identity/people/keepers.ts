import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { OPERATOR_ROLE_NAME, OWNER_ROLE_NAME } from '../roles/seed-roles.ts';

/** A transaction of a tenant or of the cross-tenant role (`comply_jobs`). */
type Queries = Pick<TenantTransaction, 'query'>;

/** A role that never loses the last person who has it for good. */
type KeptRole = typeof OWNER_ROLE_NAME | typeof OPERATOR_ROLE_NAME;

/** An active person with such a role: an owner of a tenant, or an operator of the platform. */
export interface Keeper {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly role_name: KeptRole;
  /** Whether the person can sign in here whatever happens elsewhere: with a verified address a password can be set again. */
  readonly can_sign_in: boolean;
}

/**
 * SQL: whether an assignment makes its person a keeper. One with an end does not: nobody would be left after it. Nobody operates the
 * platform from another tenant.
 */
const IS_KEEPER = `(a.role_name = '${OWNER_ROLE_NAME}' or (a.role_name = '${OPERATOR_ROLE_NAME}' and a.tenant_id = '${PLATFORM_TENANT}'))
  and a.source = 'assigned' and a.is_active and a.expires_at is null`;

/**
 * Locks the assignments that make keepers of tenants, in one order, and returns those of active people. Without the locks, two owners
 * could each remove the other because the other is left. With them, the second request sees the first one's change.
 */
export async function lockKeepers(transaction: Queries, tenantIds: readonly string[]): Promise<Keeper[]> {
  await transaction.query(
    `select a.user_id from user_role_assignments a where a.tenant_id = any($1::text[]) and ${IS_KEEPER}
      order by a.tenant_id, a.user_id, a.role_name for update`,
    [tenantIds],
  );
  // A statement of its own: it sees what others committed while the first one waited, also in `users`.
  return transaction.query<Keeper>(
    `select a.tenant_id, a.user_id, a.role_name, u.email is not null and u.is_verified as can_sign_in
       from user_role_assignments a join users u on u.user_id = a.user_id
      where a.tenant_id = any($1::text[]) and ${IS_KEEPER} and u.is_active order by a.tenant_id, a.user_id, a.role_name`,
    [tenantIds],
  );
}

/** The verified addresses of a tenant's active owners. For the cross-tenant role. */
export async function addressesOfOwners(transaction: Queries, tenantId: string): Promise<string[]> {
  const rows = await transaction.query<{ email: string }>(
    `select distinct u.email from user_role_assignments a join users u on u.user_id = a.user_id
      where a.tenant_id = $1 and a.role_name = '${OWNER_ROLE_NAME}' and a.is_active
        and (a.expires_at is null or a.expires_at > now()) and u.is_active and u.is_verified and u.email is not null
      order by u.email`,
    [tenantId],
  );
  return rows.map(({ email }) => email);
}

/** The tenants of which a person is a keeper, in order. For the cross-tenant role. */
export async function tenantsKeptBy(transaction: Queries, userId: string): Promise<string[]> {
  const rows = await transaction.query<{ tenant_id: string }>(
    `select distinct a.tenant_id from user_role_assignments a where a.user_id = $1 and ${IS_KEEPER} order by a.tenant_id`,
    [userId],
  );
  return rows.map(({ tenant_id }) => tenant_id);
}

/** The roles that only this person keeps in the tenant. */
export function rolesOnlyOf(keepers: readonly Keeper[], userId: string): KeptRole[] {
  const own = keepers.filter((keeper) => keeper.user_id === userId);
  const others = keepers.filter((keeper) => keeper.user_id !== userId);
  return own
    .map(({ role_name: role }) => role)
    .filter((role) => !others.some(({ role_name: theirs }) => theirs === role));
}

/**
 * Orders what makes a person a keeper before or after what deactivates the person: `shared` for the former, which row security keeps
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
