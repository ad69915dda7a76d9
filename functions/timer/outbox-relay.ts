import { outboxRelay } from '../../shared/platform/writes/outbox-relay.ts';
import { timer } from '../../shared/platform/jobs/timer-trigger.ts';

// Every minute: what a crash left unpublished waits no longer than that.
timer({ job: outboxRelay, schedule: '0 * * * * *' });
