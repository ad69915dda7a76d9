import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import { assignedBy, lockProvidersShared } from './provider-roles.ts';

/** A person, as a checked token names it. */
export interface TokenPerson {
  readonly tenantId: string;
  /** Who vouches for the subject. */
  readonly authority: string;
  readonly subject: string;
  /** The roles that the token gives in the tenant. */
  readonly roles: readonly string[];
  readonly issuedAt: Date;
  /** The provider's name in the tenant's settings. */
  readonly provider: string;
}

/** What a person's roles from tokens have become. */
export interface RecordedPerson {
  readonly userId: string;
  /** Roles that this token gave and that the person did not have from a token before. */
  readonly added: readonly string[];
  /** Roles from earlier tokens that this one does not have. */
  readonly ended: readonly string[];
}

/**
 * Records a person and its roles from a token, in the caller's transaction. At first sight it makes the person: never one with the
 * same e-mail address, because a claim with an address is no proof of it. A token that is older than the newest one changes nothing.
 */
export async function recordPerson(
  transaction: CrossTenantTransaction,
  person: TokenPerson,
  now: Date,
): Promise<RecordedPerson> {
  await lockProvidersShared(transaction, person.tenantId);
  // First requests at the same time make one person, and their tokens are compared one after the other.
  await transaction.query(
    `select pg_advisory_xact_lock(hashtextextended('identity:' || $1 || ' ' || $2, 0))`,
    [person.authority, person.subject],
  );
  const userId = (await findPerson(transaction, person, now)) ?? (await addPerson(transaction, person, now));
  const [newest] = await transaction.query<{ is_newer: boolean | null }>(
    `select max(issued_at) > $3 as is_newer from user_role_assignments
      where tenant_id = $1 and user_id = $2 and source = 'token'`,
    [person.tenantId, userId, person.issuedAt],
  );
  if (newest?.is_newer === true) return { userId, added: [], ended: [] };
  const ended = await endOthers(transaction, person, userId, now);
  const added = await addRoles(transaction, person, userId, now);
  return { userId, added, ended };
}

async function findPerson(
  transaction: CrossTenantTransaction,
  { authority, subject }: TokenPerson,
  now: Date,
): Promise<string | undefined> {
  const [found] = await transaction.query<{ user_id: string }>(
    `with seen as (
       update ops.user_identities set last_seen_at = $3 where issuer = $1 and subject = $2 returning user_id)
     update users u set last_login_at = $3 from seen where u.user_id = seen.user_id returning u.user_id`,
    [authority, subject, now],
  );
  return found?.user_id;
}

async function addPerson(
  transaction: CrossTenantTransaction,
  { authority, subject }: TokenPerson,
  now: Date,
): Promise<string> {
  const userId = newId(now);
  await transaction.query(
    `insert into users (user_id, last_login_at, created_at, updated_at) values ($1, $2, $2, $2)`,
    [userId, now],
  );
  await transaction.query(
    `insert into ops.user_identities (issuer, subject, user_id, created_at, last_seen_at) values ($1, $2, $3, $4, $4)`,
    [authority, subject, userId, now],
  );
  return userId;
}

/** Ends the roles that the token does not have, and notes its time on those that have ended before. */
async function endOthers(
  transaction: CrossTenantTransaction,
  { tenantId, roles, issuedAt, provider }: TokenPerson,
  userId: string,
  now: Date,
): Promise<string[]> {
  const rows = await transaction.query<{ role_name: string; was_active: boolean }>(
    `with old as (
       select role_name, is_active from user_role_assignments
        where tenant_id = $1 and user_id = $2 and source = 'token' and role_name <> all($3::text[]))
     update user_role_assignments a
        set is_active = false, ended_at = coalesce(a.ended_at, $5), ended_by = coalesce(a.ended_by, $6), issued_at = $4,
            updated_at = $5
       from old
      where a.tenant_id = $1 and a.user_id = $2 and a.source = 'token' and a.role_name = old.role_name
      returning a.role_name, old.is_active as was_active`,
    [tenantId, userId, roles, issuedAt, now, assignedBy(provider)],
  );
  return rows.filter(({ was_active: wasActive }) => wasActive).map(({ role_name: name }) => name);
}

async function addRoles(
  transaction: CrossTenantTransaction,
  { tenantId, roles, issuedAt, provider }: TokenPerson,
  userId: string,
  now: Date,
): Promise<string[]> {
  const rows = await transaction.query<{ role_name: string; is_new: boolean }>(
    `insert into user_role_assignments as a
       (tenant_id, user_id, role_name, source, assigned_by, assigned_at, issued_at, updated_at)
     select $1, $2, role_name, 'token', $6, $5, $4, $5 from unnest($3::text[]) as role_name
     on conflict (tenant_id, user_id, role_name, source) do update
       set is_active = true, ended_at = null, ended_by = null, expires_at = null, issued_at = $4, updated_at = $5,
           assigned_by = $6, assigned_at = case when a.is_active then a.assigned_at else $5 end
     returning a.role_name, a.assigned_at = $5 as is_new`,
    [tenantId, userId, roles, issuedAt, now, assignedBy(provider)],
  );
  return rows.filter(({ is_new: isNew }) => isNew).map(({ role_name: name }) => name);
}
