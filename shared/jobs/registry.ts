import type { Job } from './job.ts';

const registered = new Map<string, Job>();

/**
 * Makes a job known to operators' routes.
 * @throws when two jobs have one name: they would share a lock, a watermark and a ledger.
 */
export function registerJob(job: Job): void {
  if (registered.has(job.name)) throw new Error(`two jobs are named ${job.name}`);
  registered.set(job.name, job);
}

/** The job of that name. */
export function findJob(name: string): Job | undefined {
  return registered.get(name);
}

/** Every job, by name. */
export function registeredJobs(): readonly Job[] {
  return [...registered.values()].sort((left, right) => left.name.localeCompare(right.name));
}
