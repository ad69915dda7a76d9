import { stripeReconcile } from '../../shared/domains/billing/events/reconcile-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every minute, for events that were put back. What costs more than that, it does less often.
export const stripeReconcileTimer: ScheduledJob = { job: stripeReconcile, schedule: '30 * * * * *' };
