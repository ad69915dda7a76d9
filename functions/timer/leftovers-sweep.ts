import { leftoversSweep } from '../../shared/domains/operations/sweep-leftovers.ts';
import { timer } from '../../shared/platform/jobs/timer-trigger.ts';

// Hourly: answers by Idempotency-Key expire all day long.
timer({ job: leftoversSweep, schedule: '0 40 * * * *' });
