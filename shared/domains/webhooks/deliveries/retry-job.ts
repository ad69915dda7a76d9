import type { OutboxEntry } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { DAY_MS, systemClock } from '../../../platform/time/clock.ts';
import { addToOutbox, newEntries } from '../../../platform/writes/outbox.ts';
import { dueEvent, overdueAt } from './due-event.ts';

/** Deliveries that are queued at once. */
const BATCH = 200;
/** A batch takes milliseconds. */
const RESERVE_MS = 5_000;

/**
 * Queues the deliveries whose time has come: those that failed and are tried again, and those whose message was lost or whose
 * process died. It sends nothing itself. A delivery that is queued twice is sent once.
 */
export const webhooksRetry: Job = {
  name: 'webhooks-retry',
  budgetMs: 50_000, // it runs every minute
  async run(run) {
    run.progress.cutoff = run.now;
    while (run.timeLeftMs() > RESERVE_MS) {
      const queued = await queueDue(run);
      run.progress.examined += queued;
      if (queued < BATCH) return 'completed';
    }
    return 'partial';
  },
};

interface DueDelivery {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly delivery_id: string;
  readonly attempts: number;
}

async function queueDue({ services, now }: JobRun): Promise<number> {
  // `as_of` decides only what is due. A message's time is this moment.
  const at = systemClock.now();
  let entries: readonly OutboxEntry[] = [];
  const due = await inBatch(services.crossTenant.core, async (transaction) => {
    const rows = await transaction.query<DueDelivery>(
      `with due as materialized (
         select tenant_id, delivery_id from ops.webhook_deliveries
          where status = 'pending' and next_attempt_at <= $1
          order by next_attempt_at limit ${BATCH} for update skip locked)
       update ops.webhook_deliveries d set next_attempt_at = greatest($2::timestamptz, $1::timestamptz + interval '1 second')
         from due where d.tenant_id = due.tenant_id and d.delivery_id = due.delivery_id
       returning d.tenant_id, d.delivery_id, d.attempts`,
      [now, overdueAt(at)],
      { prepare: false },
    );
    entries = newEntries(
      'core',
      '',
      rows.map((row) => dueEvent(row, at)),
      at,
    );
    await addToOutbox(transaction, entries);
    return rows;
  });
  for (const entry of entries) services.publisher.publish(entry);
  return due.length;
}

/** Deliveries are kept so long, whatever became of them. `leftovers-sweep` deletes older ones. */
export const OLD_DELIVERIES = {
  table: 'ops.webhook_deliveries',
  timeColumn: 'created_at',
  keptMs: 30 * DAY_MS,
} as const;
