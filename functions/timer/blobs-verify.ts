import { blobsVerify } from '../../shared/domains/records/blobs/blobs-verify.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Hourly: what a storage has lost is written again while its records are there.
export const blobsVerifyTimer: ScheduledJob = { job: blobsVerify, schedule: '0 50 * * * *' };
