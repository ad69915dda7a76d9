import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';

/** SQL: whether an invitation can still be accepted, or sent again. */
export const IS_OPEN = 'i.accepted_at is null and i.revoked_at is null';

/** Revokes what still invites a member's address, and returns how many that were. */
export async function revokeInvitationsTo(
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
  userId: string,
  by: string,
  now: Date,
): Promise<number> {
  const rows = await transaction.query(
    `update ops.invitations i set revoked_at = $3, revoked_by = $4
      where i.tenant_id = $1 and ${IS_OPEN} and i.email = (select u.email from users u where u.user_id = $2)
      returning i.invitation_id`,
    [tenantId, userId, now, by],
  );
  return rows.length;
}
