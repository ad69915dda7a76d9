import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { addDays } from '../../../platform/time/clock.ts';

/** An ended session is kept so long: who asks later where somebody signed in from has the audit trail. */
const SESSION_DAYS = 30;
/** Rows in one statement. */
const BATCH = 1_000;
const RESERVE_MS = 5_000;

/** Deletes the oldest rows whose end is before `$1`, from `$2` on, where the last batch stopped. */
const deleteSql = (table: string): string => `
  with old as materialized (
    select ctid, expires_at from ${table} where expires_at <= $1 and expires_at >= $2::timestamptz
     order by expires_at limit ${BATCH}),
  done as (delete from ${table} where ctid = any(array(select ctid from old)) and expires_at <= $1 returning 1)
  select (select count(*) from done)::int as done, (select count(*) from old)::int as found,
         (select max(expires_at) from old) as last`;

/** Deletes sessions 30 days after their end, and one-time tokens after theirs. */
export const sessionsExpire: Job = {
  name: 'sessions-expire',
  budgetMs: 2 * 60_000,
  async run(run) {
    run.progress.cutoff = addDays(run.now, -SESSION_DAYS);
    const sessions = await expire(run, deleteSql('user_sessions'), run.progress.cutoff);
    const tokens = await expire(run, deleteSql('ops.user_tokens'), run.now);
    run.progress.examined = run.progress.deleted = sessions.rows + tokens.rows;
    Object.assign(run.progress.details, { sessions: sessions.rows, tokens: tokens.rows });
    return sessions.finished && tokens.finished ? 'completed' : 'partial';
  },
};

interface Deleted {
  readonly [column: string]: unknown;
  readonly done: number;
  readonly found: number;
  readonly last: string | null;
}

async function expire(
  run: Pick<JobRun, 'services' | 'timeLeftMs'>,
  text: string,
  before: Date,
): Promise<{ readonly rows: number; readonly finished: boolean }> {
  // Before the end of the last batch the index has entries of deleted rows, until a vacuum removes them.
  let last = '-infinity';
  let rows = 0;
  let finished = false;
  while (!finished && run.timeLeftMs() > RESERVE_MS) {
    const [row] = await inBatch(run.services.crossTenant.core, (transaction) =>
      transaction.query<Deleted>(text, [before, last], { prepare: false }),
    );
    rows += row?.done ?? 0;
    last = row?.last ?? last;
    finished = (row?.found ?? 0) < BATCH;
  }
  return { rows, finished };
}
