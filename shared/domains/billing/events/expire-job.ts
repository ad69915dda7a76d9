import { expireInOrder } from '../../../platform/jobs/expire-in-order.ts';
import type { Job } from '../../../platform/jobs/job.ts';
import { addDays } from '../../../platform/time/clock.ts';

/** What Stripe sent is kept so long: it has names, addresses and the last digits of cards. */
const PAYLOAD_DAYS = 90;
/** An event's id and outcome are kept so long: Stripe could hardly send it again, and a year can be looked back on. */
const ROW_DAYS = 400;

/** Rows in one statement: a payload has some kilobytes. */
const BATCH = 500;

/** The old rows of the next batch, the oldest first. `$1` is the age's limit, `$2` the end of the last batch. */
const oldSql = (condition: string): string => `
  old as materialized (
    select ctid, received_at as at from stripe_events
     where received_at <= $1 and received_at >= $2::timestamptz ${condition} order by received_at limit ${BATCH})`;

const RESULT_SQL = `select (select count(*) from done)::int as done, (select count(*) from old)::int as found,
  (select max(at) from old) as last`;

const FORGET_PAYLOADS_SQL = `with ${oldSql('and payload is not null')},
  done as (
    update stripe_events set payload = null, updated_at = now()
     where ctid = any(array(select ctid from old)) and received_at <= $1 returning 1)
  ${RESULT_SQL}`;

const DELETE_ROWS_SQL = `with ${oldSql('')},
  done as (delete from stripe_events where ctid = any(array(select ctid from old)) and received_at <= $1 returning 1)
  ${RESULT_SQL}`;

/** Forgets the payloads of Stripe's events after 90 days, and deletes their rows after 400. */
export const stripeEventsExpire: Job = {
  name: 'stripe-events-expire',
  budgetMs: 4 * 60_000,
  async run(run) {
    run.progress.cutoff = addDays(run.now, -PAYLOAD_DAYS);
    const expire = (text: string, before: Date) =>
      expireInOrder(run, run.services.crossTenant.billing, { text, before, batchSize: BATCH });
    // Rows first: then no payload is forgotten only to be deleted.
    const deleted = await expire(DELETE_ROWS_SQL, addDays(run.now, -ROW_DAYS));
    const forgotten = await expire(FORGET_PAYLOADS_SQL, run.progress.cutoff);
    run.progress.examined = deleted.rows + forgotten.rows;
    run.progress.deleted = deleted.rows;
    run.progress.details['payloads_forgotten'] = forgotten.rows;
    return deleted.finished && forgotten.finished ? 'completed' : 'partial';
  },
};
