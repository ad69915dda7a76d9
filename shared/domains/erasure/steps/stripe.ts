import { endAtStripe } from '../../billing/account/end-at-stripe.ts';
import { isStripeUnavailable } from '../../billing/stripe/client.ts';
import { finishStep } from '../ledger.ts';
import { stepAfter } from '../steps.ts';
import { ErasureFault, type ErasureWork, type StepOutcome } from '../work.ts';
import { refuseHeld } from './holds.ts';

/**
 * Cancels what the tenant pays at Stripe, while its rows are there: without them nobody here would know, and it would be billed for ever.
 * @throws ErasureFault while Stripe does not answer. The next run tries again.
 */
export async function cancelAtStripe(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  await refuseHeld(work);
  try {
    const ended = await endAtStripe(services, erasure.tenant_id, now);
    await finishStep(services.crossTenant.core, erasure, stepAfter(erasure.step), { ...ended }, now);
  } catch (error) {
    if (!isStripeUnavailable(error)) throw error;
    throw new ErasureFault('Stripe does not answer, so the subscription is not cancelled yet', {
      cause: error,
    });
  }
  return 'done';
}
