import type { ProbedServices } from '../../shared/domains/operations/health.ts';
import { healthProbe } from '../../shared/domains/operations/health-probe.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every minute, away from the other jobs of the minute: it measures how long others take.
export const healthProbeTimer = (services: () => ProbedServices): ScheduledJob => ({
  job: healthProbe(services),
  schedule: '15 * * * * *',
});
