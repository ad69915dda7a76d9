import { timer } from '../../shared/platform/jobs/timer-trigger.ts';
import { recordsExpire } from '../../shared/domains/records/expiry/records-expire.ts';

timer({ job: recordsExpire, schedule: '0 10 0 * * *' });
