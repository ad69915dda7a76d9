import { outboxRelay } from '../../shared/platform/writes/outbox-relay.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Every minute: the longest time that events wait after a crash.
export const outboxRelayTimer: ScheduledJob = { job: outboxRelay, schedule: '0 * * * * *' };
