import { expireInOrder } from '../../../platform/jobs/expire-in-order.ts';
import type { Job } from '../../../platform/jobs/job.ts';
import { addDays } from '../../../platform/time/clock.ts';

/** An ended session is kept so long: who asks later where somebody signed in from has the audit trail. */
const SESSION_DAYS = 30;
/** Rows in one statement. */
const BATCH = 1_000;

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
    const remove = (table: string, before: Date) =>
      expireInOrder(run, run.services.crossTenant.core, { text: deleteSql(table), before, batchSize: BATCH });
    const sessions = await remove('user_sessions', run.progress.cutoff);
    const tokens = await remove('ops.user_tokens', run.now);
    run.progress.examined = run.progress.deleted = sessions.rows + tokens.rows;
    Object.assign(run.progress.details, { sessions: sessions.rows, tokens: tokens.rows });
    return sessions.finished && tokens.finished ? 'completed' : 'partial';
  },
};
