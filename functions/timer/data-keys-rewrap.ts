import { dataKeysRewrap } from '../../shared/domains/keys/data-keys-rewrap.ts';
import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';

// Four times an hour, between other jobs: after a rotation, this is how long old versions are still needed.
export const dataKeysRewrapTimer: ScheduledJob = { job: dataKeysRewrap, schedule: '20 10/15 * * * *' };
