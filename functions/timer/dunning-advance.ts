import { dunningAdvance } from '../../shared/domains/tenancy/dunning-advance.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Four times an hour. A grace that ends between two runs is over at once for requests.
export const dunningAdvanceTimer: ScheduledJob = { job: dunningAdvance, schedule: '0 5/15 * * * *' };
