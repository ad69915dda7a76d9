import { usageReportJob } from '../../shared/domains/billing/metering/usage-report-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every five minutes, behind the reset of allowances: Stripe finalises a renewal's invoice an hour after the period's end.
export const usageReportTimer: ScheduledJob = { job: usageReportJob, schedule: '0 2-59/5 * * * *' };
