import { freeTierReset } from '../../shared/billing/reset-job.ts';
import { timer } from '../../shared/jobs/timer-trigger.ts';

// Every five minutes; a request that finds its allowance due does not wait for it.
timer({ job: freeTierReset, schedule: '0 */5 * * * *' });
