import { RESOLVED_ALERTS } from '../alerts/alerts.ts';
import { CONSUMED_EVENTS } from '../analytics/roll-up-usage.ts';
import { OLD_DELIVERIES } from '../webhooks/deliveries/retry-job.ts';
import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { DAY_MS } from '../../platform/time/clock.ts';
import type { Job, JobRun } from '../../platform/jobs/job.ts';
import { HEALTH_CHECKS, HEALTH_PERIODS } from './health-probe.ts';

/** How long the ledger keeps a run that did nothing: long enough to see that the timer works. */
const IDLE_RUN_MS = 7 * DAY_MS;
/** Rows in one statement: it ends within a second, and autovacuum keeps up. */
const BATCH = 5_000;
const RESERVE_MS = 5_000;

/** Rows of a table that are deleted when they are old. */
interface Leftovers {
  readonly database: CrossTenantDatabase;
  readonly table: string;
  /** The time that decides; an index begins with it. */
  readonly timeColumn: string;
  /** Old rows are deleted only if they meet this. */
  readonly condition?: string;
  readonly before: Date;
}

/**
 * Deletes expired answers to idempotency keys, old entries of consumed events, old runs that did nothing, old checks of health, old
 * deliveries of webhooks, and alerts that were resolved long ago.
 */
export const leftoversSweep: Job = {
  name: 'leftovers-sweep',
  budgetMs: 4 * 60_000,
  async run(run) {
    const { core, billing, analytics } = run.services.crossTenant;
    const before = (ageMs: number): Date => new Date(run.now.getTime() - ageMs);
    const answers = { table: 'ops.idempotency', timeColumn: 'expires_at', before: run.now };
    const leftovers: readonly Leftovers[] = [
      { database: core, ...answers },
      { database: billing, ...answers },
      { database: analytics, ...answers },
      ...[CONSUMED_EVENTS, HEALTH_CHECKS, HEALTH_PERIODS, RESOLVED_ALERTS].map(({ keptMs, ...old }) => ({
        database: analytics,
        ...old,
        before: before(keptMs),
      })),
      {
        database: core,
        table: OLD_DELIVERIES.table,
        timeColumn: OLD_DELIVERIES.timeColumn,
        before: before(OLD_DELIVERIES.keptMs),
      },
      {
        database: core,
        table: 'retention_runs',
        timeColumn: 'started_at',
        condition: `status in ('completed', 'skipped') and examined = 0 and deleted = 0`,
        before: before(IDLE_RUN_MS),
      },
    ];
    const done: boolean[] = [];
    for (const of of leftovers) done.push(await sweep(run, of));
    return done.every(Boolean) ? 'completed' : 'partial';
  },
};

/** Deletes leftovers, the oldest first, batch by batch; false if the budget ended first. */
async function sweep(
  run: JobRun,
  { database, table, timeColumn, condition, before }: Leftovers,
): Promise<boolean> {
  const isOld = `${timeColumn} <= $1${condition === undefined ? '' : ` and ${condition}`}`;
  const text = `
    with old as materialized (
      select ctid, ${timeColumn} as at from ${table} where ${isOld} and ${timeColumn} >= $2::timestamptz
       order by ${timeColumn} limit ${BATCH}),
    gone as (
      delete from ${table} where ctid = any(array(select ctid from old)) and ${isOld} returning 1)
    select (select count(*) from gone) as deleted, (select count(*) from old) as found, (select max(at) from old) as last`;
  // The end of the last batch. Before it the index has entries of deleted rows until a vacuum removes them.
  let last = '-infinity';
  let deleted = 0;
  let finished = false;
  while (!finished && run.timeLeftMs() > RESERVE_MS) {
    const [row] = await inBatch(database, (transaction) =>
      transaction.query<Swept>(text, [before, last], { prepare: false }),
    );
    deleted += row?.deleted ?? 0;
    last = row?.last ?? last;
    finished = (row?.found ?? 0) < BATCH;
  }
  run.progress.examined += deleted;
  run.progress.deleted += deleted;
  const name = table.replace('ops.', '');
  run.progress.details[name] = Number(run.progress.details[name] ?? 0) + deleted;
  return finished;
}

interface Swept {
  readonly [column: string]: unknown;
  readonly deleted: number;
  readonly found: number;
  readonly last: string | null;
}
