import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import type { JobRun } from '../../../platform/jobs/job.ts';
import { systemClock } from '../../../platform/time/clock.ts';
import { processEvents } from './process-events.ts';
import { OVERDUE_MS } from './store-events.ts';

/** Events that are taken at once. */
const BATCH = 100;

/**
 * Takes the next due events. Until they have an outcome, they are due again only later: so a run that dies loses none, and an
 * event that always fails is not tried at each run.
 */
async function takeDue({ services, now }: JobRun): Promise<string[]> {
  const rows = await inBatch(services.crossTenant.billing, (transaction) =>
    transaction.query<{ event_id: string }>(
      `update stripe_events set next_attempt_at = $2
        where event_id = any(array(
                select event_id from stripe_events where status = 'received' and next_attempt_at <= $1
                 order by next_attempt_at limit ${BATCH} for update skip locked))
       returning event_id`,
      [now, new Date(now.getTime() + OVERDUE_MS)],
    ),
  );
  return rows.map(({ event_id: id }) => id);
}

/**
 * Processes the events that are due: those that were put back, and those whose message was lost. Returns false if the time ended
 * or Stripe did not answer. `as_of` decides only what is due: what Stripe says is of this moment.
 */
export async function processDue(run: JobRun, goOn: () => boolean): Promise<boolean> {
  const { details } = run.progress;
  const sum = { due: 0, put_back: 0, unexpected: 0 };
  let isDone = false;
  let isAway = false;
  while (!isDone && !isAway && goOn()) {
    const ids = await takeDue(run);
    const { put_back: putBack, unexpected } = await processEvents(run.services, ids, systemClock.now(), goOn);
    sum.due += ids.length;
    sum.put_back += putBack;
    sum.unexpected += unexpected.length;
    isAway = putBack > 0;
    isDone = ids.length < BATCH;
  }
  run.progress.examined += sum.due;
  Object.assign(details, {
    events_due: sum.due,
    events_put_back: sum.put_back,
    events_unexpected: sum.unexpected,
  });
  return isDone && !isAway;
}

/** The events of Stripe that cannot be processed, and those that have waited since before a time. */
export async function countStuckEvents(
  billing: CrossTenantDatabase,
  before: Date,
): Promise<{ readonly failed: number; readonly late: number }> {
  const [row] = await billing.query<{ failed: number; late: number }>(
    `select count(*) filter (where status = 'failed') as failed,
            count(*) filter (where status = 'received' and received_at < $1) as late
       from stripe_events where status in ('failed', 'received')`,
    [before],
  );
  return row ?? { failed: 0, late: 0 };
}
