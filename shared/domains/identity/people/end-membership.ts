import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { revokeInvitationsTo } from './pending-invitations.ts';

/** What ended, for the audit trail. */
export interface EndedMembership {
  readonly sessions_ended: number;
  readonly invitations_revoked: number;
}

/**
 * Ends a person's roles, sessions and pending invitations in a tenant, in the caller's transaction, which has locked the managers and
 * found that the tenant can do without the person. After the commit, call `credentials.forgetPerson`.
 */
export async function endMembership(
  transaction: Pick<TenantTransaction, 'query'>,
  { tenantId, userId }: { readonly tenantId: string; readonly userId: string },
  by: string,
  now: Date,
): Promise<EndedMembership> {
  await transaction.query(
    `update user_role_assignments set is_active = false, ended_at = $3, ended_by = $4, updated_at = $3
      where tenant_id = $1 and user_id = $2 and is_active`,
    [tenantId, userId, now, by],
  );
  const sessions = await endSessions(transaction, { userId, tenantId }, by, now);
  const invitations = await revokeInvitationsTo(transaction, tenantId, userId, by, now);
  return { sessions_ended: sessions.length, invitations_revoked: invitations };
}
