import { leftoversSweep } from '../../shared/domains/operations/sweep-leftovers.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Hourly: answers by Idempotency-Key expire all day long.
export const leftoversSweepTimer: ScheduledJob = { job: leftoversSweep, schedule: '0 40 * * * *' };
