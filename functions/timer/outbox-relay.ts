import { outboxRelay } from '../../shared/platform/writes/outbox-relay.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every minute: what a crash left unpublished waits no longer than that.
export const outboxRelayTimer: ScheduledJob = { job: outboxRelay, schedule: '0 * * * * *' };
