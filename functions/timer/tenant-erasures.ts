import { tenantErasuresJob } from '../../shared/domains/erasure/erasure-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';
import { tenantTables } from '../tenant-tables.ts';

export const tenantErasuresTimer: ScheduledJob = {
  job: tenantErasuresJob(tenantTables),
  schedule: '30 */5 * * * *',
};
