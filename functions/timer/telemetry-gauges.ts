import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';
import { measureStripe } from '../../shared/domains/billing/stripe/measure-stripe.ts';
import { mappingIdsSql } from '../../shared/domains/mapping/ids.ts';
import { telemetryGaugesJob } from '../../shared/domains/operations/telemetry-gauges.ts';
import { expiringRecordsOf } from '../../shared/domains/records/expiring.ts';
import { overdueOf } from '../../shared/domains/records/expiry/count-overdue.ts';

const records = expiringRecordsOf(mappingIdsSql);

/** The timer, with the measures of every domain. `jobs`: the names of the app's jobs. At second 30, between other jobs. */
export const telemetryGaugesTimer = (jobs: () => readonly string[]): ScheduledJob => ({
  job: telemetryGaugesJob({
    jobs,
    recordsOverdue: overdueOf(records),
    stripe: measureStripe,
  }),
  schedule: '30 * * * * *',
});
