import { app } from '@azure/functions';
import { services } from '../runtime/services.ts';
import { runJob, type Job } from './job.ts';
import { registerJob } from './registry.ts';

/**
 * Registers a job under its timer. Two hosts may tick at once, and a tick may be missed: the job's lock and watermark
 * make both safe, so neither `isPastDue` nor a run at start-up is relied on.
 */
export function timer(options: {
  readonly job: Job;
  /** NCRONTAB with seconds, in UTC. */
  readonly schedule: string;
}): void {
  const { job, schedule } = options;
  registerJob(job);
  app.timer(job.name, {
    schedule,
    runOnStartup: false,
    handler: async () => {
      await runJob(services(), job, { triggeredBy: 'timer' });
    },
  });
}
