import { partitionsMake } from '../../shared/domains/operations/make-partitions.ts';
import { timer } from '../../shared/platform/jobs/timer-trigger.ts';

// Daily, in the quiet half hour after midnight, UTC.
timer({ job: partitionsMake, schedule: '0 20 0 * * *' });
