import type { Call } from '../../../platform/call/call.ts';
import { noContent, type NoContent } from '../../../platform/call/reply.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { requireHeld } from '../roles/require-held.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { revokeInvitationsTo } from './pending-invitations.ts';
import { lockLiveAssignments } from './live-assignments.ts';
import { lockManagers, requireOthersLeft } from './managers.ts';
import { noSuchMember } from './members.ts';

/**
 * Removes a person from the tenant: their roles, sessions and pending invitations there end, and the keys that they made have no
 * permissions any more. The person and their other tenants stay.
 * @throws Problem 404; 403 for a member with permissions that the caller does not hold; 409 for the last owner.
 */
export async function removeMember(call: Call, userId: string): Promise<NoContent> {
  const { tenantId } = call.tenant;
  const reply = await performWrite(
    call,
    async (transaction) => {
      const managers = await lockManagers(transaction, tenantId, call.now);
      const live = await lockLiveAssignments(transaction, tenantId, userId, call.now);
      if (live.length === 0) throw noSuchMember();
      await requireHeld(
        call,
        transaction,
        live.flatMap(({ permissions }) => [...permissions]),
      );
      requireOthersLeft(managers, userId, call.now);
      await transaction.query(
        `update user_role_assignments set is_active = false, ended_at = $3, ended_by = $4, updated_at = $3
          where tenant_id = $1 and user_id = $2 and is_active`,
        [tenantId, userId, call.now, call.principal.actor],
      );
      const by = call.principal.actor;
      const sessions = await endSessions(transaction, { userId, tenantId }, by, call.now);
      const invitations = await revokeInvitationsTo(transaction, tenantId, userId, by, call.now);
      return {
        reply: noContent,
        audit: {
          action: 'user.removed',
          resource_type: 'user',
          resource_id: userId,
          details: {
            roles: live.map(({ role_name: name }) => name),
            sessions_ended: sessions.length,
            invitations_revoked: invitations,
          },
        },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forgetPerson(userId);
  return reply;
}
