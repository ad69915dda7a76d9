import type { Job } from './job.ts';

/** A job and when its timer runs it (NCRONTAB with seconds, in UTC). */
export interface ScheduledJob {
  readonly job: Job;
  readonly schedule: string;
}
