import type { z } from 'zod';
import { newId } from '../ids/ids.ts';
import { faultOf } from '../db/errors.ts';
import { errorFields, log } from '../log/log.ts';
import type { CallServices } from '../call/call.ts';
import { count } from '../telemetry/metrics.ts';
import { inSpan } from '../telemetry/tracing.ts';
import { clockAt } from '../time/clock.ts';
import { takeJobLock } from './job-lock.ts';
import {
  closeInterruptedRuns,
  closeRun,
  openRun,
  type JobProgress,
  type RunStatus,
  type RunSummary,
} from './run-ledger.ts';
import { readPosition, writePosition } from './watermarks.ts';

/** The services for jobs. */
export type JobServices = Pick<
  CallServices,
  | 'settings'
  | 'clock'
  | 'crossTenant'
  | 'tenants'
  | 'publisher'
  | 'bus'
  | 'blobs'
  | 'exports'
  | 'dataKeys'
  | 'cache'
>;

/** One run of a job, as the job sees it. */
export interface JobRun {
  /** The app's services. If the run has an `as_of`, their clock shows {@link JobRun.now}. */
  readonly services: JobServices;
  /** The time that the run works with (`as_of`). */
  readonly now: Date;
  readonly runId: string;
  readonly progress: JobProgress;
  /**
   * The rest of the budget in milliseconds; 0 after the job's lock is lost. A job asks before each batch. When little is
   * left, it stops and returns 'partial'.
   */
  timeLeftMs(): number;
  /**
   * The position where the job's last run stopped; undefined on the first run, or if the stored position has another shape.
   */
  position<T>(schema: z.ZodType<T>): Promise<T | undefined>;
  /** Saves the job's position at once, so that the next run continues there even if this run fails later. */
  savePosition(value: unknown): Promise<void>;
}

/** Work that a timer repeats. It must be idempotent: a run may come late, twice, or after a run that died halfway. */
export interface Job {
  /** Noun and verb, kebab-case. The name of the function, the lock, the watermark and the ledger's rows. */
  readonly name: string;
  /** The time for one run. Batches end within it, and the rest waits for the next run. */
  readonly budgetMs: number;
  /**
   * True for a job that must also run while the core database is unavailable, where ledger, lock and watermark are. Such a run has
   * none of them: the job keeps no position, and two runs at once do no harm.
   */
  readonly runsWithoutCore?: boolean;
  /** Does the work. Returns 'partial' if the budget ended before the work. */
  run(run: JobRun): Promise<'completed' | 'partial'>;
}

/** The options of one run. */
export interface RunOptions {
  /** The time to work with instead of the clock's. */
  readonly asOf?: Date;
  /** `timer`, or the key of the operator. */
  readonly triggeredBy: string;
  /** A shorter budget than the job's own, for a caller that waits for the answer. */
  readonly budgetMs?: number;
}

/**
 * Runs a job once. It writes a row to the ledger first. Then it tries the job's lock, and does not wait: if another run
 * holds it, in any process or region, this run is 'skipped'. At the end, the row gets the outcome, the counters and, for a
 * failure, the error's name and code.
 * @throws what the job threw, after the ledger has it; or that the database is unavailable, see {@link Job.runsWithoutCore}.
 */
export function runJob(services: JobServices, job: Job, options: RunOptions): Promise<RunSummary> {
  return inSpan(`job ${job.name}`, {}, async (span) => {
    try {
      const summary = await runAnyway(services, job, options);
      count('job_runs_total', { job: job.name, status: summary.status });
      span.set('comply.job.status', summary.status);
      return summary;
    } catch (error) {
      count('job_runs_total', { job: job.name, status: 'failed' });
      throw error;
    }
  });
}

async function runAnyway(services: JobServices, job: Job, options: RunOptions): Promise<RunSummary> {
  if (job.runsWithoutCore !== true) return runRecorded(services, job, options);
  const noted = { started: false };
  const watched: Job = {
    ...job,
    run: (run) => {
      noted.started = true;
      return job.run(run);
    },
  };
  try {
    return await runRecorded(services, watched, options);
  } catch (error) {
    if (noted.started || faultOf(error) !== 'unavailable') throw error;
    return runUnrecorded(services, job, options);
  }
}

async function runRecorded(services: JobServices, job: Job, options: RunOptions): Promise<RunSummary> {
  const database = services.crossTenant.core;
  const startedAt = services.clock.now();
  const asOf = options.asOf ?? startedAt;
  const runId = newId(startedAt);
  const budgetMs = Math.min(job.budgetMs, options.budgetMs ?? job.budgetMs);
  const progress = newProgress();
  const finish = (status: Exclude<RunStatus, 'running'>, error: unknown): Promise<RunSummary> =>
    closeRun(database, job.name, runId, { status, progress, error, finishedAt: services.clock.now() });

  await openRun(database, { runId, job: job.name, asOf, startedAt, triggeredBy: options.triggeredBy });
  try {
    const lock = await takeJobLock(services.settings, job.name, budgetMs);
    if (lock === undefined) return await finish('skipped', undefined);
    try {
      await closeInterruptedRuns(database, job.name, startedAt);
      const deadline = performance.now() + budgetMs;
      const status = await job.run({
        services: options.asOf === undefined ? services : { ...services, clock: clockAt(asOf) },
        now: asOf,
        runId,
        progress,
        timeLeftMs: () => (lock.isLost() ? 0 : Math.max(0, deadline - performance.now())),
        position: (schema) => readPosition(database, job.name, schema),
        savePosition: (value) => writePosition(database, job.name, value),
      });
      const summary = await finish(status, undefined);
      log.info('job-finished', { job: job.name, run_id: runId, status, examined: progress.examined });
      return summary;
    } finally {
      await lock.release();
    }
  } catch (error) {
    log.error('job-failed', { job: job.name, run_id: runId, ...errorFields(error) });
    // The row may already have its end. This closes only a row that is still 'running'.
    await finish('failed', error).catch((cause: unknown) => {
      log.error('run-not-recorded', { job: job.name, run_id: runId, ...errorFields(cause) });
    });
    throw error;
  }
}

/** A run while the core database is unavailable: nothing is written there. */
async function runUnrecorded(services: JobServices, job: Job, options: RunOptions): Promise<RunSummary> {
  const startedAt = services.clock.now();
  const asOf = options.asOf ?? startedAt;
  const runId = newId(startedAt);
  const deadline = performance.now() + Math.min(job.budgetMs, options.budgetMs ?? job.budgetMs);
  const progress = newProgress();
  const status = await job.run({
    services: options.asOf === undefined ? services : { ...services, clock: clockAt(asOf) },
    now: asOf,
    runId,
    progress,
    timeLeftMs: () => Math.max(0, deadline - performance.now()),
    position: () => Promise.resolve(undefined),
    savePosition: () => Promise.resolve(),
  });
  log.info('job-finished-unrecorded', { job: job.name, run_id: runId, status });
  return {
    run_id: runId,
    job: job.name,
    as_of: asOf.toISOString(),
    started_at: startedAt.toISOString(),
    finished_at: services.clock.now().toISOString(),
    status,
    ...progress,
    cutoff: progress.cutoff?.toISOString() ?? null,
    error: null,
    triggered_by: options.triggeredBy,
  };
}

function newProgress(): JobProgress {
  return {
    cutoff: undefined,
    examined: 0,
    deleted: 0,
    kept_on_hold: 0,
    not_archived: 0,
    bytes: 0,
    details: {},
  };
}
