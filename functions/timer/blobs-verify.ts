import { blobsVerify } from '../../shared/domains/records/blobs/blobs-verify.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Hourly: writes blobs that the storage lost again, as long as their records exist.
export const blobsVerifyTimer: ScheduledJob = { job: blobsVerify, schedule: '0 50 * * * *' };
