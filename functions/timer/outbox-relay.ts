import { outboxRelay } from '../../shared/bus/relay.ts';
import { timer } from '../../shared/jobs/timer-trigger.ts';

// Every minute: what a crash left unpublished waits no longer than that.
timer({ job: outboxRelay, schedule: '0 * * * * *' });
