import { z } from 'zod';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { requestForgottenArchives } from '../archive/request-archives.ts';
import { MINUTE_MS, systemClock } from '../../../platform/time/clock.ts';
import { applyChangedPolicies } from '../../retention/apply-policies.ts';
import {
  deleteExpired,
  WALK_START,
  type ExpiredBatch,
  type ExpiryPosition,
} from '../../retention/delete-expired.ts';
import type { ExpiringTable } from '../../retention/expiring-table.ts';
import { dropPastPartitions } from './drop-partitions.ts';
import { uuid } from '../../../platform/ids/uuid.ts';

/** Half of what the host allows a function: whatever is left waits for the next run. */
const BUDGET_MS = 5 * MINUTE_MS;
/** A batch is begun only while this much is left: its statement's own limit ends it by then. */
const BATCH_RESERVE_MS = 10_000;
/** A caller with a small budget waits for the answer; then batches may use most of it. */
const RESERVED_SHARE = 0.2;

/** Where a run that ran out of time stopped: the table being walked, and how far. Absent: from the beginning. */
const position = z.object({
  walk: z.object({ table: z.string(), at: z.string(), id: uuid }).nullable(),
});

/**
 * Lets go of what is past its time and under no legal hold: storage records once they are archived, whole partitions of
 * them at once; orchestrations, mappings, analyses and metrics. Changed retention policies are applied first, and the
 * archiving of forgotten records is asked for again. The run's counters are rows; those of large partitions are the
 * planner's estimate, and `details.rows_estimated` says how many are.
 *
 * `tables` are walked in their order; records come first, since a mapping stays as long as its record.
 */
export function recordsExpireJob(tables: readonly ExpiringTable[]): Job {
  return { name: 'records-expire', budgetMs: BUDGET_MS, run: (job) => run(job, tables) };
}

async function run(job: JobRun, tables: readonly ExpiringTable[]): Promise<'completed' | 'partial'> {
  const { progress } = job;
  progress.cutoff = job.now;
  const atStart = job.timeLeftMs();
  const reserve = Math.min(BATCH_RESERVE_MS, atStart * RESERVED_SHARE);
  const timeLeftMs = (): number => Math.max(0, job.timeLeftMs() - reserve);
  const database = job.services.crossTenant.core;

  const policies = await applyChangedPolicies(database, tables, timeLeftMs);
  progress.details['policies_applied'] = policies.applied;
  progress.details['expiry_changed'] = policies.changed;
  // Rows whose policy was lengthened must not be judged by the old one.
  if (!policies.finished) return 'partial';
  // Asked for now, not as of another time: a queue refuses what lies ahead.
  progress.details['archives_requested'] = await requestForgottenArchives(
    job.services,
    systemClock.now(),
    timeLeftMs,
  );

  const dropped = await dropPastPartitions(database, job.now, timeLeftMs);
  progress.examined += dropped.rows;
  progress.deleted += dropped.rows;
  progress.bytes += dropped.bytes;
  progress.details['partitions_dropped'] = dropped.partitions;
  progress.details['rows_estimated'] = dropped.estimatedRows;
  progress.details['rows_moved'] = dropped.moved;
  const walked = await walkTables(job, tables, timeLeftMs);
  return dropped.finished && walked ? 'completed' : 'partial';
}

/** Keeps where a walk stands; null once there is nothing to go on from. */
type SaveWalk = (walk: z.output<typeof position>['walk']) => Promise<void>;

/** Walks the tables from where the last run stopped. Answers whether it came to the end. */
async function walkTables(
  job: JobRun,
  tables: readonly ExpiringTable[],
  timeLeftMs: () => number,
): Promise<boolean> {
  const stopped = (await job.position(position))?.walk ?? null;
  let isKept = stopped !== null;
  const save: SaveWalk = (walk) => {
    isKept = walk !== null;
    return job.savePosition({ walk });
  };
  const from = Math.max(
    0,
    tables.findIndex(({ table }) => table === stopped?.table),
  );
  for (const of of tables.slice(from)) {
    const start = stopped?.table === of.table ? { at: stopped.at, id: stopped.id } : WALK_START;
    if (!(await walkTable(job, { of, start, save, timeLeftMs }))) return false;
  }
  // Where nothing was kept there is nothing to take back; a commit right after a drop waits for the file system.
  if (isKept) await save(null);
  return true;
}

interface Walk {
  readonly of: ExpiringTable;
  readonly start: ExpiryPosition;
  readonly save: SaveWalk;
  readonly timeLeftMs: () => number;
}

async function walkTable(job: JobRun, { of, start, save, timeLeftMs }: Walk): Promise<boolean> {
  let after = start;
  while (timeLeftMs() > 0) {
    const batch = await deleteExpired(job.services.crossTenant.core, of, job.now, after);
    count(job, of.table, batch);
    if (batch.next === undefined) return true;
    after = batch.next;
    await save({ table: of.table, ...after });
  }
  return false;
}

function count(job: JobRun, table: string, batch: ExpiredBatch): void {
  const { progress } = job;
  progress.examined += batch.examined;
  progress.deleted += batch.deleted;
  progress.kept_on_hold += batch.onHold;
  progress.not_archived += batch.notArchived;
  for (const [name, rows] of [
    [`${table}_deleted`, batch.deleted],
    ['kept_by_policy_or_need', batch.retained],
  ] as const) {
    if (rows > 0) progress.details[name] = Number(progress.details[name] ?? 0) + rows;
  }
}
