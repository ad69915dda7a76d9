import { inBatch } from '../db/batch-transaction.ts';
import { json, type CrossTenantDatabase } from '../db/tenant-database.ts';

/** The progress of a run. The job counts here, and the ledger gets it when the run ends. Mutable. */
export interface JobProgress {
  /** Older rows are the job's work; undefined for a job without a cutoff. */
  cutoff: Date | undefined;
  examined: number;
  deleted: number;
  kept_on_hold: number;
  not_archived: number;
  /** Bytes that were deleted or moved. */
  bytes: number;
  /** The job's own counters. Never content. */
  readonly details: Record<string, unknown>;
}

/** The status of a run. */
export type RunStatus = 'running' | 'completed' | 'partial' | 'failed' | 'skipped';

/** One run as a row of the ledger (`retention_runs`). Times are RFC 3339 with microseconds. */
export interface RunSummary {
  readonly [column: string]: unknown;
  readonly run_id: string;
  readonly job: string;
  readonly as_of: string;
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly status: RunStatus;
  readonly cutoff: string | null;
  readonly examined: number;
  readonly deleted: number;
  readonly kept_on_hold: number;
  readonly not_archived: number;
  readonly bytes: number;
  readonly details: Readonly<Record<string, unknown>>;
  readonly error: string | null;
  readonly triggered_by: string;
}

/** The ledger's columns in the order of {@link RunSummary}. */
export const RUN_COLUMNS = `run_id, job, as_of, started_at, finished_at, status, cutoff, examined, deleted, kept_on_hold,
  not_archived, bytes, details, error, triggered_by`;

/** Writes a run's row before the run does anything. */
export async function openRun(
  database: CrossTenantDatabase,
  run: { runId: string; job: string; asOf: Date; startedAt: Date; triggeredBy: string },
): Promise<void> {
  await database.query(
    `insert into retention_runs (run_id, job, as_of, started_at, triggered_by) values ($1, $2, $3, $4, $5)`,
    [run.runId, run.job, run.asOf, run.startedAt, run.triggeredBy],
  );
}

/** The ledger's error for runs whose process died. */
const INTERRUPTED = 'Interrupted';

/**
 * Writes a run's end, with the job's current position. Only the first end is kept: a run that was closed as dead may still
 * be alive and report later.
 */
export async function closeRun(
  database: CrossTenantDatabase,
  job: string,
  runId: string,
  end: {
    status: Exclude<RunStatus, 'running'>;
    progress: JobProgress;
    error: unknown;
    finishedAt: Date;
  },
): Promise<RunSummary> {
  const { progress } = end;
  const [row] = await database.query<RunSummary>(
    `update retention_runs
        set status = $2, finished_at = greatest($3::timestamptz, started_at), cutoff = $4, examined = $5, deleted = $6,
            kept_on_hold = $7, not_archived = $8, bytes = $9, details = $10, error = $11,
            cursor = (select position from ops.watermarks w where w.job = $12)
      where run_id = $1 and (status = 'running' or error = $13)
     returning ${RUN_COLUMNS}`,
    [
      runId,
      end.status,
      end.finishedAt,
      progress.cutoff ?? null,
      progress.examined,
      progress.deleted,
      progress.kept_on_hold,
      progress.not_archived,
      progress.bytes,
      json(progress.details),
      end.error === undefined ? null : describeError(end.error),
      job,
      INTERRUPTED,
    ],
  );
  if (row === undefined) throw new Error('the run was closed by another');
  return row;
}

/**
 * Closes runs that never ended. The caller holds the job's lock. So an open run of the job either died, or will find the
 * lock taken.
 */
export async function closeInterruptedRuns(
  database: CrossTenantDatabase,
  job: string,
  startedBefore: Date,
): Promise<void> {
  await database.query(
    `update retention_runs set status = 'failed', error = $3, finished_at = greatest(started_at, $2::timestamptz)
      where job = $1 and status = 'running' and started_at < $2`,
    [job, startedBefore, INTERRUPTED],
  );
}

/** An error's name and code. Its message is left out, because it may quote content. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : '';
  return `${error.name}${code}`;
}

/** The newest runs of a job that {@link lastCompleted} looks at: three hours of one that runs every minute. */
const LOOKED_AT = 200;

/**
 * When each job last completed a run. For one that never did, when its first run began: the first of the newest ones. A job without
 * runs is missing.
 */
export async function lastCompleted(
  database: CrossTenantDatabase,
  jobs: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await inBatch(database, (transaction) =>
    transaction.query<{ job: string; at: string | null }>(
      `select j.job, coalesce(
       (select coalesce(r.finished_at, r.started_at) from (
          select status, started_at, finished_at from retention_runs
           where job = j.job order by started_at desc limit ${LOOKED_AT}) r where r.status = 'completed' limit 1),
       (select min(r.started_at) from (
          select started_at from retention_runs where job = j.job order by started_at desc limit ${LOOKED_AT}) r)) as at
       from unnest($1::text[]) j (job)`,
      [jobs],
    ),
  );
  return new Map(rows.flatMap(({ job, at }) => (at === null ? [] : [[job, at] as const])));
}
