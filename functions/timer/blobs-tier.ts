import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';
import { blobsTier } from '../../shared/domains/records/blobs/blobs-tier.ts';

export const blobsTierTimer: ScheduledJob = { job: blobsTier, schedule: '0 40 1 * * *' };
