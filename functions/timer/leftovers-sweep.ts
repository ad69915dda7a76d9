import { leftoversSweep } from '../../shared/domains/operations/sweep-leftovers.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Hourly: answers by Idempotency-Key expire at any time of the day.
export const leftoversSweepTimer: ScheduledJob = { job: leftoversSweep, schedule: '0 40 * * * *' };
