import type {
  CrossTenantDatabase,
  CrossTenantTransaction,
  TenantTransaction,
} from '../../../platform/db/tenant-database.ts';
import { isOwnAuthoritySql } from '../oidc/provider.ts';
import { endMembership } from './end-membership.ts';
import { isNeeded, lockManagers } from './managers.ts';
import { lockPerson } from './keepers.ts';

/** A person in a tenant. */
export interface PersonOf {
  readonly tenantId: string;
  readonly userId: string;
}

/** Whether a tenant ever gave the person a role: then it has traces of the person. */
export async function isKnownIn(
  transaction: Pick<TenantTransaction, 'query'>,
  { tenantId, userId }: PersonOf,
): Promise<boolean> {
  const rows = await transaction.query(
    `select 1 as one from user_role_assignments a where a.tenant_id = $1 and a.user_id = $2 limit 1`,
    [tenantId, userId],
  );
  return rows.length > 0;
}

/** When somebody was first given a role in a tenant after a time, as text; undefined if never. For the cross-tenant role. */
export async function joinedSince(
  core: CrossTenantDatabase,
  { tenantId, userId }: PersonOf,
  time: Date,
): Promise<string | undefined> {
  const [first] = await core.query<{ at: string }>(
    `select a.assigned_at as at from user_role_assignments a
      where a.tenant_id = $1 and a.user_id = $2 and a.assigned_at > $3 order by a.assigned_at limit 1`,
    [tenantId, userId, time],
  );
  return first?.at;
}

/**
 * Ends what came back since the erasure was requested: roles from a token. Identities of the tenant's own issuers go first, so that a
 * later token makes another person. False if the tenant cannot do without the person any more.
 */
export async function leaveForGood(
  transaction: CrossTenantTransaction,
  of: PersonOf,
  by: string,
  now: Date,
): Promise<boolean> {
  const { tenantId, userId } = of;
  await lockPerson(transaction, userId, 'exclusive');
  if (isNeeded(await lockManagers(transaction, tenantId, now), userId, now)) return false;
  await transaction.query(
    `delete from ops.user_identities where user_id = $1 and ${isOwnAuthoritySql('issuer', '$2::text')}`,
    [userId, tenantId],
  );
  await endMembership(transaction, of, by, now);
  return true;
}

/** A person's e-mail address; undefined if there is none, or no such person. */
export async function addressOf(core: CrossTenantDatabase, userId: string): Promise<string | undefined> {
  const [person] = await core.query<{ email: string | null }>(`select email from users where user_id = $1`, [
    userId,
  ]);
  return person?.email ?? undefined;
}

/** The next people with an account who ever had a role in a tenant, in the order of their ids. */
export async function peopleOf(
  core: CrossTenantDatabase,
  tenantId: string,
  after: string | null,
  size: number,
): Promise<readonly string[]> {
  const rows = await core.query<{ user_id: string }>(
    `select distinct a.user_id from user_role_assignments a join users u on u.user_id = a.user_id
      where a.tenant_id = $1 and ($2::uuid is null or a.user_id > $2) order by a.user_id limit $3`,
    [tenantId, after, size],
  );
  return rows.map(({ user_id: userId }) => userId);
}

/**
 * Deletes the account, with its password, tokens, second factor and identities, if no tenant has the person and nothing else uses it
 * (`isUsed`). `leaving`: a tenant that does not count any more; what it has of the person goes too. True if the account is gone.
 */
export async function deleteUnusedAccount(
  transaction: CrossTenantTransaction,
  userId: string,
  isUsed: () => Promise<boolean>,
  leaving: string | null = null,
): Promise<boolean> {
  // Locked first: of the erasures in two tenants, the second one sees that the first one is over.
  await transaction.query(`select 1 as one from users where user_id = $1 for update`, [userId]);
  if (!(await isUsed()))
    await transaction.query(
      `delete from users u where u.user_id = $1
          and not exists (select from user_role_assignments a where a.user_id = u.user_id and a.tenant_id is distinct from $2)
          and not exists (select from user_sessions s where s.user_id = u.user_id and s.tenant_id is distinct from $2)`,
      [userId, leaving],
    );
  const left = await transaction.query(`select 1 as one from users where user_id = $1`, [userId]);
  return left.length === 0;
}
