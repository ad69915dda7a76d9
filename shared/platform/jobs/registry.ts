import type { Job } from './job.ts';

/** A job and when its timer runs it (NCRONTAB with seconds, in UTC). */
export interface ScheduledJob {
  readonly job: Job;
  readonly schedule: string;
}

const registered = new Map<string, ScheduledJob>();

/**
 * Makes a job known to operators' routes.
 * @throws when two jobs have one name: they would share a lock, a watermark and a ledger.
 */
export function registerJob(scheduled: ScheduledJob): void {
  const { name } = scheduled.job;
  if (registered.has(name)) throw new Error(`two jobs are named ${name}`);
  registered.set(name, scheduled);
}

/** The job of that name. */
export function findJob(name: string): Job | undefined {
  return registered.get(name)?.job;
}

/** Every job, by name. */
export function scheduledJobs(): readonly ScheduledJob[] {
  return [...registered.values()].sort((left, right) => left.job.name.localeCompare(right.job.name));
}
