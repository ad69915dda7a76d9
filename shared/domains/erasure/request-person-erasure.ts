import type { z } from 'zod';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { accepted, ok, type Reply } from '../../platform/call/reply.ts';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import { newId } from '../../platform/ids/ids.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import { endMembership } from '../identity/people/end-membership.ts';
import { isKnownIn } from '../identity/people/erased-person.ts';
import { lockLiveAssignments } from '../identity/people/live-assignments.ts';
import { lockManagers, requireOthersLeft } from '../identity/people/managers.ts';
import { noSuchMember } from '../identity/people/members.ts';
import { lockPerson } from '../identity/people/keepers.ts';
import { requireHeld } from '../identity/roles/require-held.ts';
import { openErasure, readNewest, readSteps } from './ledger.ts';
import { present } from './request-erasure.ts';
import type { ErasureView, newPersonErasure } from './schemas.ts';

/**
 * Requests a person's erasure in the caller's tenant. The membership ends at once, so that nothing new names the person and the tenant
 * has an owner whatever happens later; the job does the rest.
 * @throws Problem 404 for somebody whom the tenant never knew; 403 for a member with permissions that the caller does not hold; 409
 * for the last owner, and while an erasure of the person is open.
 */
export async function requestPersonErasure(
  call: Call,
  userId: string,
  { reason }: z.output<typeof newPersonErasure>,
): Promise<Reply<202, ErasureView>> {
  const { tenantId } = call.tenant;
  if (tenantId === PLATFORM_TENANT)
    throw new Problem('CONFLICT', { detail: 'The acts of the platform’s own people stay.' });
  const by = call.principal.actor;
  const reply = await performWrite<Reply<202, ErasureView>>(
    call,
    async (transaction) => {
      await lockPerson(transaction, userId, 'exclusive');
      const managers = await lockManagers(transaction, tenantId, call.now);
      const live = await lockLiveAssignments(transaction, tenantId, userId, call.now);
      if (!(await isKnownIn(transaction, { tenantId, userId }))) throw noSuchMember();
      await requireHeld(
        call,
        transaction,
        live.flatMap(({ permissions }) => [...permissions]),
      );
      requireOthersLeft(managers, userId, call.now);
      const opened = await openErasure(transaction, {
        tenantId,
        erasureId: newId(call.now),
        personId: userId,
        reason,
        requestedBy: by,
        at: call.now,
      });
      if (opened === undefined)
        throw new Problem('CONFLICT', { detail: 'The erasure of the person is requested already.' });
      const ended = await endMembership(transaction, { tenantId, userId }, by, call.now);
      return {
        reply: accepted<ErasureView>(present(opened, [])),
        audit: {
          action: 'user.erasure_requested',
          resource_type: 'user',
          resource_id: userId,
          details: { erasure_id: opened.erasure_id, ...ended },
        },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forgetPerson(userId);
  return reply;
}

/** The newest erasure of a person in a tenant. @throws Problem 404 if there was none. */
export async function readPersonErasure(
  call: Call,
  tenantId: string,
  userId: string,
): Promise<Reply<200, ErasureView>> {
  const { core } = call.services.crossTenant;
  const found = await readNewest(core, tenantId, userId);
  if (found === undefined)
    throw new Problem('NOT_FOUND', { detail: 'There was no erasure of this person in the tenant.' });
  return ok(present(found, await readSteps(core, found)));
}
