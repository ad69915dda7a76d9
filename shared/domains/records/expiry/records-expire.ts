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

/** Half of the host's time limit for a function. The next run does the rest. */
const BUDGET_MS = 5 * MINUTE_MS;
/** A batch begins only while this much time is left: its statement timeout ends it by then. */
const BATCH_RESERVE_MS = 10_000;
/** With a small budget a caller waits for the answer, so batches may use most of the budget. */
const RESERVED_SHARE = 0.2;

/** Where a run without time left stopped: the table and the position in it. Absent: start at the beginning. */
const position = z.object({
  walk: z.object({ table: z.string(), at: z.string(), id: uuid }).nullable(),
});

/**
 * Deletes rows that are expired and under no legal hold: archived storage records, in whole partitions if possible;
 * orchestrations, mappings, analyses and metrics. First it applies changed retention policies and requests lost archives
 * again. The run's counters are rows. Those of large partitions are the planner's estimate; `details.rows_estimated` is
 * their number.
 *
 * `tables` are processed in their order. Records come first, since a mapping stays as long as its record.
 */
export function recordsExpireJob(tables: readonly ExpiringTable[]): Job {
  return { name: 'records-expire', budgetMs: BUDGET_MS, run: (run) => expireRecords(run, tables) };
}

async function expireRecords(
  run: JobRun,
  tables: readonly ExpiringTable[],
): Promise<'completed' | 'partial'> {
  const { progress } = run;
  progress.cutoff = run.now;
  const atStart = run.timeLeftMs();
  const reserve = Math.min(BATCH_RESERVE_MS, atStart * RESERVED_SHARE);
  const timeLeftMs = (): number => Math.max(0, run.timeLeftMs() - reserve);
  const database = run.services.crossTenant.core;

  const policies = await applyChangedPolicies(database, tables, timeLeftMs);
  progress.details['policies_applied'] = policies.applied;
  progress.details['expiry_changed'] = policies.changed;
  // Not before all policies are applied: else rows with a lengthened retention would be deleted too early.
  if (!policies.finished) return 'partial';
  // With the real time, not the run's `as_of`: a queue refuses events from the future.
  progress.details['archives_requested'] = await requestForgottenArchives(
    run.services,
    systemClock.now(),
    timeLeftMs,
  );

  const dropped = await dropPastPartitions(database, run.now, timeLeftMs);
  progress.examined += dropped.rows;
  progress.deleted += dropped.rows;
  progress.bytes += dropped.bytes;
  progress.details['partitions_dropped'] = dropped.partitions;
  progress.details['rows_estimated'] = dropped.estimatedRows;
  progress.details['rows_moved'] = dropped.moved;
  const walked = await walkTables(run, tables, timeLeftMs);
  return dropped.finished && walked ? 'completed' : 'partial';
}

/** Saves a walk's position; null at its end. */
type SaveWalk = (walk: z.output<typeof position>['walk']) => Promise<void>;

/** Walks the tables from where the last run stopped. Returns whether it reached the end. */
async function walkTables(
  run: JobRun,
  tables: readonly ExpiringTable[],
  timeLeftMs: () => number,
): Promise<boolean> {
  const stopped = (await run.position(position))?.walk ?? null;
  let isKept = stopped !== null;
  const save: SaveWalk = (walk) => {
    isKept = walk !== null;
    return run.savePosition({ walk });
  };
  const from = Math.max(
    0,
    tables.findIndex(({ table }) => table === stopped?.table),
  );
  for (const of of tables.slice(from)) {
    const start = stopped?.table === of.table ? { at: stopped.at, id: stopped.id } : WALK_START;
    if (!(await walkTable(run, { of, start, save, timeLeftMs }))) return false;
  }
  // Only if a position was saved: a commit right after a drop waits for the file system.
  if (isKept) await save(null);
  return true;
}

interface Walk {
  readonly of: ExpiringTable;
  readonly start: ExpiryPosition;
  readonly save: SaveWalk;
  readonly timeLeftMs: () => number;
}

async function walkTable(run: JobRun, { of, start, save, timeLeftMs }: Walk): Promise<boolean> {
  let after = start;
  while (timeLeftMs() > 0) {
    const batch = await deleteExpired(run.services.crossTenant.core, of, run.now, after);
    count(run, of.table, batch);
    if (batch.next === undefined) return true;
    after = batch.next;
    await save({ table: of.table, ...after });
  }
  return false;
}

function count(run: JobRun, table: string, batch: ExpiredBatch): void {
  const { progress } = run;
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
