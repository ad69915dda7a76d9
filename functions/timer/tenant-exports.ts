import { exportBlobs } from '../../shared/domains/records/export-blobs.ts';
import { tenantExportsJob } from '../../shared/domains/tenancy/exports/export-job.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';
import { tenantTables } from '../tenant-tables.ts';

// Every minute, so that an export begins soon. At second 15, between other jobs.
export const tenantExportsTimer: ScheduledJob = {
  job: tenantExportsJob({ tables: tenantTables, copyBlobs: exportBlobs }),
  schedule: '15 * * * * *',
};
