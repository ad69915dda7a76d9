import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';
import { recordsExpireJob } from '../../shared/domains/records/expiry/records-expire.ts';
import { expiringTables } from '../expiring-tables.ts';

/** The job, with every domain's expiring tables. */
export const recordsExpire = recordsExpireJob(expiringTables);

export const recordsExpireTimer: ScheduledJob = { job: recordsExpire, schedule: '0 10 0 * * *' };
