import { ServiceBusClient } from '@azure/service-bus';
import { QUEUES } from '../../shared/platform/bus/queues.ts';
import { until } from '../harness/app.ts';
import { runJob, type FaultStack } from './fault-stack.ts';

const MINUTE_MS = 60_000;
/** The relay skips young rows, which the writing process publishes. So it runs as of this much later. */
const RELAY_AHEAD_MS = MINUTE_MS;
/** After a day, abandoned reservations are released, also those of writes without a row. */
const ABANDONED_AHEAD_MS = 25 * 60 * MINUTE_MS;
/** Longer than the locks of a dead host, and than the pause of a failed batch. */
const SETTLE_S = 40;

/** Work that is not done. */
export interface Backlog {
  readonly outbox: number;
  readonly queued: number;
  readonly deadLettered: number;
  readonly unarchived: number;
}

/** Counts waiting work. Changes nothing. */
export async function readBacklog({ stack, sql }: FaultStack): Promise<Backlog> {
  const bus = new ServiceBusClient(stack.broker.ready.connectionString);
  try {
    let queued = 0;
    let deadLettered = 0;
    for (const { name } of QUEUES) {
      const queue = bus.createReceiver(name);
      queued += (await queue.peekMessages(1_000)).length;
      await queue.close();
      const dead = bus.createReceiver(name, { subQueueType: 'deadLetter' });
      deadLettered += (await dead.peekMessages(1_000)).length;
      await dead.close();
    }
    const outboxes = await Promise.all(
      [sql.core, sql.billing, sql.analytics].map(
        (database) => database`select count(*)::int as n from ops.outbox`,
      ),
    );
    const outbox = outboxes.reduce((sum, [row]) => sum + Number(row?.['n']), 0);
    const [row] = await sql.core`
      select count(*)::int as unarchived from storage_records where archived_at is null`;
    return { outbox, unarchived: row?.['unarchived'], queued, deadLettered };
  } finally {
    await bus.close();
  }
}

/**
 * Waits until all work of the writes is done: it runs the relay until the outbox and the queues are empty. Then it runs the
 * sweeps: abandoned reservations are released, leftovers are deleted.
 */
export async function settle(faults: FaultStack, clockOffsetMs = 0): Promise<Backlog> {
  const ahead = (ms: number): Date => new Date(Date.now() + clockOffsetMs + ms);
  const backlog = await until(
    async () => {
      const before = await readBacklog(faults);
      if (before.outbox === 0) return before;
      await runJob(faults, 'outbox-relay', ahead(RELAY_AHEAD_MS));
      return readBacklog(faults);
    },
    ({ outbox, queued }) => outbox === 0 && queued === 0,
    SETTLE_S,
  );
  await runJob(faults, 'free-tier-reset', ahead(ABANDONED_AHEAD_MS));
  await runJob(faults, 'leftovers-sweep', ahead(0));
  return backlog;
}
