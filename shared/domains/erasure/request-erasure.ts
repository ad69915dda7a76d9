import type { z } from 'zod';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { accepted, ok, type Reply } from '../../platform/call/reply.ts';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import { newId } from '../../platform/ids/ids.ts';
import { auditEvent } from '../../platform/writes/caused-events.ts';
import { performPlatformWrite } from '../../platform/writes/perform-write.ts';
import { leftAtStripe } from '../billing/account/end-at-stripe.ts';
import { lockLeavingTenant } from '../tenancy/erase-tenant.ts';
import { openErasure, readNewest, readSteps, type Erasure, type ErasureStep } from './ledger.ts';
import type { ErasureView, newErasure } from './schemas.ts';

const conflict = (detail: string): Problem => new Problem('CONFLICT', { detail });

/**
 * An operator's wish that a leaving tenant is erased. The job does it; this only writes it into the ledger.
 * @throws Problem 404 for an unknown tenant; 409 for one that is not leaving, whose days are not over (without `early`), or whose
 * erasure is in the ledger already.
 */
export function requestErasure(
  call: Call,
  tenantId: string,
  body: z.output<typeof newErasure>,
): Promise<Reply<202, ErasureView>> {
  if (tenantId === PLATFORM_TENANT) throw conflict('The platform’s own tenant cannot be erased.');
  return performPlatformWrite<Reply<202, ErasureView>>(
    call,
    async (transaction) => {
      const leaving = await lockLeavingTenant(transaction, tenantId);
      if (leaving === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such tenant.' });
      if (leaving.status === 'erased') throw conflict('The tenant is erased.');
      if (leaving.status !== 'offboarding')
        throw conflict('The tenant is not leaving: begin its offboarding first.');
      const { offboarding_ends_at: endsAt } = leaving;
      if (!body.early && (endsAt === null || new Date(endsAt) > call.now))
        throw conflict(
          'The days in which the tenant can stay are not over. To erase it anyway, say `early` and why.',
        );
      const opened = await openErasure(transaction, {
        tenantId,
        erasureId: newId(call.now),
        early: body.early,
        reason: body.reason,
        requestedBy: call.principal.actor,
        at: call.now,
      });
      if (opened === undefined) throw conflict('The erasure of the tenant is requested already.');
      const audit = {
        action: 'tenant.erasure_requested',
        resource_type: 'tenant',
        resource_id: tenantId,
        details: { erasure_id: opened.erasure_id, early: body.early, reason: body.reason },
      };
      return {
        reply: accepted<ErasureView>(present(opened, [])),
        audit,
        events: [auditEvent(call, { ...audit, tenant_id: tenantId })],
      };
    },
    { beyondQuota: true },
  );
}

/** A tenant's newest erasure, with what Stripe still has of the tenant. @throws Problem 404 if there was none. */
export async function readErasure(call: Call, tenantId: string): Promise<Reply<200, ErasureView>> {
  const { core, billing } = call.services.crossTenant;
  const found = await readNewest(core, tenantId, null);
  if (found === undefined) throw new Problem('NOT_FOUND', { detail: 'There was no erasure of this tenant.' });
  const atStripe = await leftAtStripe(billing, tenantId);
  return ok({
    ...present(found, await readSteps(core, found)),
    at_stripe: atStripe.map((left) => ({ ...left, live_subscriptions: [...left.live_subscriptions] })),
  });
}

/** An erasure as it is sent. */
export function present(erasure: Erasure, steps: readonly ErasureStep[]): ErasureView {
  const { person_id: _person, ...shown } = erasure;
  return { ...shown, held_by: [...shown.held_by], steps: steps.map((step) => ({ ...step })) };
}
