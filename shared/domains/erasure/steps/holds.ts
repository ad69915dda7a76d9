import { findOpenHolds } from '../../retention/open-holds.ts';
import { finishStep } from '../ledger.ts';
import { stepAfter } from '../steps.ts';
import { ErasureHeld, type ErasureWork, type StepOutcome } from '../work.ts';

/** @throws ErasureHeld if the tenant has an open legal hold, whatever it covers: a person has to decide first. */
export async function refuseHeld({ services, erasure }: ErasureWork): Promise<void> {
  const holds = await findOpenHolds(services.crossTenant.core, erasure.tenant_id);
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
