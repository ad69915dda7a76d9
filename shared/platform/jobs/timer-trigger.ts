import { app } from '@azure/functions';
import { services } from '../services.ts';
import { runJob } from './job.ts';
import { registerJob, type ScheduledJob } from './registry.ts';

/**
 * Registers a job under its timer. Two hosts may tick at once, and a tick may be missed: the job's lock and watermark
 * make both safe, so neither `isPastDue` nor a run at start-up is relied on.
 */
export function timer(options: ScheduledJob): void {
  const { job, schedule } = options;
  registerJob(options);
  app.timer(job.name, {
    schedule,
    runOnStartup: false,
    handler: async () => {
      await runJob(services(), job, { triggeredBy: 'timer' });
    },
  });
}
