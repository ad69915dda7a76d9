import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { findOpenHolds } from '../../retention/open-holds.ts';
import { finishStep } from '../ledger.ts';
import { stepAfter } from '../steps.ts';
import { ErasureHeld, type ErasureWork, type StepOutcome } from '../work.ts';

/**
 * With the transaction of {@link inDeletingBatch}, no hold is placed until it ends.
 * @throws ErasureHeld if the tenant has an open legal hold, whatever it covers: a person has to decide first.
 */
export async function refuseHeld(
  { services, erasure }: ErasureWork,
  transaction?: CrossTenantTransaction,
): Promise<void> {
  const holds = await findOpenHolds(transaction ?? services.crossTenant.core, erasure.tenant_id);
  if (holds.length > 0) throw new ErasureHeld(holds);
}

/** Every step looks for holds. This one does nothing else, so that a hold stops an erasure before anything is lost. */
export async function checkHolds(work: ErasureWork): Promise<StepOutcome> {
  await refuseHeld(work);
  await finishStep(
    work.services.crossTenant.core,
    work.erasure,
    stepAfter(work.erasure.step, work.erasure.scope),
    {},
    work.now,
  );
  return 'done';
}
