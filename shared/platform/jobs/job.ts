import type { z } from 'zod';
import { newId } from '../ids/ids.ts';
import { errorFields, log } from '../log/log.ts';
import type { CallServices } from '../call/call.ts';
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

/** What jobs may use. */
export type JobServices = Pick<
  CallServices,
  'settings' | 'clock' | 'crossTenant' | 'tenants' | 'publisher' | 'bus' | 'blobs'
>;

/** One run of a job, as the job sees it. */
export interface JobRun {
  /** The app's services; their clock stands at {@link JobRun.now} where the run was asked for `as_of` another time. */
  readonly services: JobServices;
  /** The instant that the run judges by (`as_of`). */
  readonly now: Date;
  readonly runId: string;
  readonly progress: JobProgress;
  /**
   * Milliseconds of the budget that are left; 0 once the job's lock is lost. A job asks before each batch and, when
   * little is left, stops cleanly and answers 'partial'.
   */
  timeLeftMs(): number;
  /** Where the job's last run left off; undefined on the first run, or when what is stored has another shape. */
  position<T>(schema: z.ZodType<T>): Promise<T | undefined>;
  /** Keeps where the job stands, at once: a run that fails later goes on from here. */
  savePosition(value: unknown): Promise<void>;
}

/** Work that a timer repeats. Idempotent: a run may come late, twice, or after one that died halfway. */
export interface Job {
  /** Noun and verb, kebab-case: the function's name, the lock's, the watermark's and the ledger's. */
  readonly name: string;
  /** What one run may take. Batches end within it; what is left over waits for the next run. */
  readonly budgetMs: number;
  /** Does the work; 'partial' when the budget ended before the work did. */
  run(run: JobRun): Promise<'completed' | 'partial'>;
}

/** Who asks for a run, and how. */
export interface RunOptions {
  /** Judge by this instant instead of the clock's. */
  readonly asOf?: Date;
  /** `timer`, or the key of the operator who asked. */
  readonly triggeredBy: string;
  /** Less than the job's own budget, where somebody waits for the answer. */
  readonly budgetMs?: number;
}

/**
 * Runs a job once. Its ledger row comes first; then the job's lock is tried, never waited for: where another run holds
 * it, in whatever process or region, this one is 'skipped'. The row ends with the outcome, the counters and, for a
 * failure, the error's name and code.
 * @throws what the job threw, after the ledger has it; or that the database is away.
 */
export async function runJob(services: JobServices, job: Job, options: RunOptions): Promise<RunSummary> {
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
    // The row may already tell the end; it is only a row still 'running' that this closes.
    await finish('failed', error).catch((cause: unknown) => {
      log.error('run-not-recorded', { job: job.name, run_id: runId, ...errorFields(cause) });
    });
    throw error;
  }
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
