import { AUDIT_LOGS } from '../audit/consume-audit.ts';
import { USAGE_RECORDS } from '../billing/metering/write-usage.ts';
import { STORAGE_RECORDS } from '../records/record-columns.ts';
import { findPartitionsEnd, makePartition, type PartitionedTable } from '../../platform/db/partitions.ts';
import type { CrossTenantDatabases } from '../../platform/call/call.ts';
import { faultOf } from '../../platform/db/errors.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { log } from '../../platform/log/log.ts';
import { addDays, utcDay } from '../../platform/time/clock.ts';
import type { Job, JobRun } from '../../platform/jobs/job.ts';

/** Days made ahead for records: a timer that fails is noticed before the partitions run out. */
const DAYS_AHEAD = 35;
/** Months made ahead for usage and audit. */
const MONTHS_AHEAD = 3;

/**
 * Makes the partitions of the coming days and months. Existing partitions stay. When a migration has declared an index on the
 * parent only, the index is built here in each filled partition, each in its own transaction. When a long transaction keeps a
 * table's lock, the rest is left to the next run.
 */
export const partitionsMake: Job = {
  name: 'partitions-make',
  budgetMs: 2 * 60_000,
  async run(run) {
    const { core, billing } = run.services.crossTenant;
    const days = Array.from({ length: DAYS_AHEAD + 1 }, (_, n) => utcDay(addDays(run.now, n)));
    const months = Array.from({ length: MONTHS_AHEAD + 1 }, (_, n) =>
      utcDay(new Date(Date.UTC(run.now.getUTCFullYear(), run.now.getUTCMonth() + n, 1))),
    );
    const done = [
      await unlessHeld(STORAGE_RECORDS, () => make(run, core, STORAGE_RECORDS, days)),
      await unlessHeld(AUDIT_LOGS, () => make(run, core, AUDIT_LOGS, months)),
      await unlessHeld(USAGE_RECORDS, () => make(run, billing, USAGE_RECORDS, months)),
      await unlessHeld(STORAGE_RECORDS, () => completeIndexes(run, core, STORAGE_RECORDS)),
    ];
    return done.every(Boolean) ? 'completed' : 'partial';
  },
};

/** Does a table's work. Returns false, instead of failing, when its lock is not granted in time. */
async function unlessHeld({ table }: PartitionedTable, work: () => Promise<boolean>): Promise<boolean> {
  try {
    return await work();
  } catch (error) {
    if (faultOf(error) !== 'contention') throw error;
    log.warn('partitions-not-made', { table });
    return false;
  }
}

async function make(
  run: JobRun,
  database: CrossTenantDatabase,
  partitioned: PartitionedTable,
  dates: readonly string[],
): Promise<true> {
  let made = 0;
  for (const date of dates) {
    // One transaction each, so that the lock on the parent is short.
    if (await makePartition(database, partitioned, date)) made += 1;
  }
  run.progress.examined += dates.length;
  run.progress.details[partitioned.table] = made;
  return true;
}

/** Builds the missing partition indexes of a table. Returns whether all exist; the next run builds the rest. */
async function completeIndexes(
  run: JobRun,
  database: CrossTenantDatabase,
  { table }: PartitionedTable,
): Promise<boolean> {
  for (let built = 0; run.timeLeftMs() > 0; built += 1) {
    const partition = await database.transaction(async (transaction) => {
      // Building an index of a large partition takes longer than the usual statement timeout.
      await transaction.query(`select set_config('statement_timeout', $1, true)`, [
        String(Math.ceil(run.timeLeftMs())),
      ]);
      const [row] = await transaction.query<{ partition: string | null }>(
        'select ops.index_partition($1) as partition',
        [table],
      );
      return row?.partition ?? null;
    });
    if (partition === null) return true;
    run.progress.details['indexes_built'] = built + 1;
  }
  return false;
}

/** A table whose partitions `partitions-make` makes, and how far they reach. */
export interface PartitionsAhead {
  readonly database: 'core' | 'billing';
  readonly table: string;
  /** The day after the last partition, `2026-01-31`; undefined without one. */
  readonly end: string | undefined;
  /** The last day for which the job's last run should have made one. */
  readonly wanted: string;
}

/** How far the partitions of the app's tables reach. `now`: the time of a run that is to be judged. */
export async function findPartitionsAhead(
  databases: Pick<CrossTenantDatabases, 'core' | 'billing'>,
  now: Date,
): Promise<PartitionsAhead[]> {
  const lastMonth = utcDay(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + MONTHS_AHEAD, 1)));
  const lastDay = utcDay(addDays(now, DAYS_AHEAD));
  const tables = [
    ['core', STORAGE_RECORDS, lastDay],
    ['core', AUDIT_LOGS, lastMonth],
    ['billing', USAGE_RECORDS, lastMonth],
  ] as const;
  return Promise.all(
    tables.map(async ([database, partitioned, wanted]) => ({
      database,
      table: partitioned.table,
      end: await findPartitionsEnd(databases[database], partitioned),
      wanted,
    })),
  );
}
