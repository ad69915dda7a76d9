import { partitionsMake } from '../../shared/domains/operations/make-partitions.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Daily, in the quiet half hour after midnight, UTC.
export const partitionsMakeTimer: ScheduledJob = { job: partitionsMake, schedule: '0 20 0 * * *' };
