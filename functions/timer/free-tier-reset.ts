import { freeTierReset } from '../../shared/domains/billing/reset-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every five minutes; a request that finds its allowance due does not wait for it.
export const freeTierResetTimer: ScheduledJob = { job: freeTierReset, schedule: '0 */5 * * * *' };
