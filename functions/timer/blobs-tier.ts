import { timer } from '../../shared/platform/jobs/timer-trigger.ts';
import { blobsTier } from '../../shared/domains/records/blobs/blobs-tier.ts';

timer({ job: blobsTier, schedule: '0 40 1 * * *' });
