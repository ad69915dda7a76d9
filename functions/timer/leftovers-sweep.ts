import { leftoversSweep } from '../../shared/jobs/sweep-leftovers.ts';
import { timer } from '../../shared/jobs/timer-trigger.ts';

// Hourly: answers by Idempotency-Key expire all day long.
timer({ job: leftoversSweep, schedule: '0 40 * * * *' });
