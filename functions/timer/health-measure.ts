import { healthMeasure } from '../../shared/domains/operations/health-measure.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Hourly, some minutes after the hour: its last checks are written then.
export const healthMeasureTimer: ScheduledJob = { job: healthMeasure, schedule: '0 5 * * * *' };
