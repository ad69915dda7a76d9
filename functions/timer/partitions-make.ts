import { partitionsMake } from '../../shared/jobs/make-partitions.ts';
import { timer } from '../../shared/jobs/timer-trigger.ts';

// Daily, in the quiet half hour after midnight, UTC.
timer({ job: partitionsMake, schedule: '0 20 0 * * *' });
