import { sessionsExpire } from '../../shared/domains/identity/sessions/expire-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Once a day, when the other daily jobs are done.
export const sessionsExpireTimer: ScheduledJob = { job: sessionsExpire, schedule: '0 20 2 * * *' };
