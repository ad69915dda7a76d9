import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { finishStep, readSteps } from '../ledger.ts';
import { stepAfter } from '../steps.ts';
import type { ErasureWork, StepOutcome } from '../work.ts';

/**
 * Longer than an instance remembers a tenant (5 s) or a plain data key (60 s), and than a request or a statement of before runs. What
 * they write is there before rows go.
 */
const SETTLE_MS = 2 * MINUTE_MS;

/** Waits until nothing of the tenant runs or is remembered any more. */
export async function settle({ services, erasure, now }: ErasureWork): Promise<StepOutcome> {
  const { core } = services.crossTenant;
  const steps = await readSteps(core, erasure);
  const closed =
    steps.find(({ step }) => step === (erasure.scope === 'tenant' ? 'keys' : 'close'))?.finished_at ?? null;
  if (closed !== null && now.getTime() < new Date(closed).getTime() + SETTLE_MS) return 'waiting';
  await finishStep(core, erasure, stepAfter(erasure.step, erasure.scope), {}, now);
  return 'done';
}
