import { findExistingAnalyses } from '../../shared/domains/analysis/find-existing.ts';
import { freeTierReset } from '../../shared/domains/billing/metering/reset-job.ts';
import { findExistingMappings } from '../../shared/domains/mapping/find-existing.ts';
import { findExistingOrchestrations } from '../../shared/domains/orchestration/find-existing.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every five minutes. A request whose allowance is due does not wait for it.
export const freeTierResetTimer: ScheduledJob = {
  job: freeTierReset([findExistingAnalyses, findExistingMappings, findExistingOrchestrations]),
  schedule: '0 */5 * * * *',
};
