import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { DAY_MS } from '../../platform/time/clock.ts';
import type { Job, JobRun } from '../../platform/jobs/job.ts';

/**
 * How long a consumed event is remembered. A message comes again within hours, or by an operator's hand within weeks;
 * after a quarter the billing ledger's own key is the only one.
 */
const CONSUMED_MS = 90 * DAY_MS;
/** How long a run that did nothing stays in the ledger: long enough to see that a timer ticked. */
const IDLE_RUN_MS = 7 * DAY_MS;
/** Rows a statement: it ends within a second, and autovacuum keeps up. */
const BATCH = 5_000;
const RESERVE_MS = 5_000;

/** Deletes what is no longer needed: expired answers to idempotency keys, old marks of consumed events, idle runs. */
export const leftoversSweep: Job = {
  name: 'leftovers-sweep',
  budgetMs: 4 * 60_000,
  async run(run) {
    const { core, billing, analytics } = run.services.crossTenant;
    const before = (ageMs: number): Date => new Date(run.now.getTime() - ageMs);
    const done = [
      await sweep(run, core, 'ops.idempotency', 'expires_at <= $1', run.now),
      await sweep(run, billing, 'ops.idempotency', 'expires_at <= $1', run.now),
      await sweep(run, analytics, 'ops.idempotency', 'expires_at <= $1', run.now),
      await sweep(run, analytics, 'ops.consumed_events', 'consumed_at <= $1', before(CONSUMED_MS)),
      await sweep(
        run,
        core,
        'retention_runs',
        `started_at <= $1 and status in ('completed', 'skipped') and examined = 0 and deleted = 0`,
        before(IDLE_RUN_MS),
      ),
    ];
    return done.every(Boolean) ? 'completed' : 'partial';
  },
};

/** Deletes what a condition on time names, batch by batch; false if the budget ended first. */
async function sweep(
  run: JobRun,
  database: CrossTenantDatabase,
  table: string,
  condition: string,
  instant: Date,
): Promise<boolean> {
  let deleted = 0;
  let finished = false;
  while (!finished && run.timeLeftMs() > RESERVE_MS) {
    const [row] = await database.query<{ deleted: number }>(
      `with gone as (
         delete from ${table}
          where ctid = any(array(select ctid from ${table} where ${condition} limit ${BATCH})) and ${condition}
         returning 1)
       select count(*) as deleted from gone`,
      [instant],
      { prepare: false },
    );
    const count = row?.deleted ?? 0;
    deleted += count;
    finished = count < BATCH;
  }
  run.progress.examined += deleted;
  run.progress.deleted += deleted;
  const name = table.replace('ops.', '');
  run.progress.details[name] = Number(run.progress.details[name] ?? 0) + deleted;
  return finished;
}
