import { webhooksRetry } from '../../shared/domains/webhooks/deliveries/retry-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every minute: a failed delivery waits for seconds at first.
export const webhooksRetryTimer: ScheduledJob = { job: webhooksRetry, schedule: '20 * * * * *' };
