import type { Call } from '../../../platform/call/call.ts';
import { noContent, type NoContent } from '../../../platform/call/reply.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { requireHeld } from '../roles/require-held.ts';
import { endMembership } from './end-membership.ts';
import { lockLiveAssignments } from './live-assignments.ts';
import { lockManagers, requireOthersLeft } from './managers.ts';
import { noSuchMember } from './members.ts';

/**
 * Removes a person from the tenant: their roles, sessions and pending invitations there end, and the keys that they made have no
 * permissions any more. The person and their other tenants stay.
 * @throws Problem 404; 403 for a member with permissions that the caller does not hold; 409 for the last owner, and for the platform's last operator.
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
      const ended = await endMembership(transaction, { tenantId, userId }, call.principal.actor, call.now);
      return {
        reply: noContent,
        audit: {
          action: 'user.removed',
          resource_type: 'user',
          resource_id: userId,
          details: {
            roles: live.map(({ role_name: name }) => name),
            ...ended,
          },
        },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forgetPerson(userId);
  return reply;
}
