import type { FindExisting } from '../../../platform/db/find-existing.ts';
import type { Job } from '../../../platform/jobs/job.ts';
import { releaseAbandoned } from './abandoned-reservations.ts';
import { resetDueAllowances } from './free-tier.ts';

/** A batch takes less than this. With less time left, the next run continues. */
const RESERVE_MS = 10_000;

/**
 * Resets the allowances that are due, then releases the reservations of writes that did not happen. `owners` look up
 * requests: one for each kind of request that reserves.
 */
export function freeTierReset(owners: readonly FindExisting[]): Job {
  return {
    name: 'free-tier-reset',
    budgetMs: 4 * 60_000, // it runs every five minutes
    async run(run) {
      const goOn = (): boolean => run.timeLeftMs() > RESERVE_MS;
      run.progress.cutoff = run.now;
      const reset = await resetDueAllowances(run.services.crossTenant.billing, run.now, { goOn });
      const { examined, released } = await releaseAbandoned(run.services, owners, run.now, goOn);
      run.progress.examined = reset + examined;
      run.progress.details['allowances_reset'] = reset;
      run.progress.details['reservations_released'] = released;
      return goOn() ? 'completed' : 'partial';
    },
  };
}
