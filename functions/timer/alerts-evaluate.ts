import { alertsEvaluate } from '../../shared/domains/alerts/evaluate-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every minute, in its second half: usage of the minute before has mostly arrived.
export const alertsEvaluateTimer: ScheduledJob = { job: alertsEvaluate, schedule: '45 * * * * *' };
