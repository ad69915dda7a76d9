import { timer } from '../../shared/jobs/timer-trigger.ts';
import { blobsTier } from '../../shared/retention/blobs-tier.ts';

timer({ job: blobsTier, schedule: '0 40 1 * * *' });
