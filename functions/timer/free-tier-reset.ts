import { freeTierReset } from '../../shared/domains/billing/reset-job.ts';
import { timer } from '../../shared/platform/jobs/timer-trigger.ts';

// Every five minutes; a request that finds its allowance due does not wait for it.
timer({ job: freeTierReset, schedule: '0 */5 * * * *' });
