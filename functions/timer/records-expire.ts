import { timer } from '../../shared/jobs/timer-trigger.ts';
import { recordsExpire } from '../../shared/retention/records-expire.ts';

timer({ job: recordsExpire, schedule: '0 10 0 * * *' });
