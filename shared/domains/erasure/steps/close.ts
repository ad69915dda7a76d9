import { inDeletingBatch } from '../../retention/deleting-batch.ts';
import { findOpenHolds } from '../../retention/open-holds.ts';
import { markErased } from '../../tenancy/erase-tenant.ts';
import { cancelErasure, finishStep } from '../ledger.ts';
import { stepAfter } from '../steps.ts';
import { ErasureHeld, type ErasureWork, type StepOutcome } from '../work.ts';

/**
 * Ends the tenant: from here on nobody signs in for it, within seconds on every instance. No hold can be placed in the same moment. A
 * tenant that is no longer leaving, or that leaves again and has its days before it, stays, and this erasure is cancelled.
 */
export async function closeTenant({ services, erasure, now }: ErasureWork): Promise<StepOutcome> {
  const { tenant_id: tenantId, early, requested_at: requestedAt } = erasure;
  const outcome = await inDeletingBatch(services.crossTenant.core, async (transaction) => {
    const holds = await findOpenHolds(transaction, tenantId);
    if (holds.length > 0) throw new ErasureHeld(holds);
    if (!(await markErased(transaction, tenantId, { early, requestedAt }, now))) {
      await cancelErasure(transaction, erasure, now);
      return 'moved';
    }
    await finishStep(transaction, erasure, stepAfter(erasure.step), {}, now);
    return 'done';
  });
  services.tenants.forget(tenantId);
  return outcome;
}
