import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';
import { recordsExpire } from '../../shared/domains/records/expiry/records-expire.ts';

export const recordsExpireTimer: ScheduledJob = { job: recordsExpire, schedule: '0 10 0 * * *' };
