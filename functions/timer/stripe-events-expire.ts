import { stripeEventsExpire } from '../../shared/domains/billing/events/expire-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Once a day, when the other daily jobs are done.
export const stripeEventsExpireTimer: ScheduledJob = { job: stripeEventsExpire, schedule: '0 0 2 * * *' };
