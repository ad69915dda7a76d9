import type { Job, JobRun } from '../jobs/job.ts';
import { queueOf, type CloudEvent, type OutboxEntry } from '../bus/events.ts';
import { MessageTooLarge } from '../bus/bus-sender.ts';
import { publishEntries } from './outbox-publisher.ts';
import { quarantineMessages } from '../consume/quarantine.ts';

/** Younger rows are being published by the process that wrote them; sending them too would only be dropped as duplicates. */
const AGE_MIN_MS = 10_000;
/** Rows in one go: some 600 messages, a few AMQP batches. */
const BATCH = 200;
/** A send and its retries take seconds; with less left, the next minute's run goes on. */
const RESERVE_MS = 6_000;

interface OutboxRow extends OutboxEntry {
  readonly [column: string]: unknown;
}

/**
 * Publishes what the publisher, right after the commit, did not: its process died, the broker was away, or too much waited.
 * In order of the writes, and a row is deleted only once the broker has its events, so that a crash in between sends twice
 * rather than never; the broker drops repeats, and consumers count an event once. No row is locked meanwhile: the job's
 * lock keeps two relays apart, and what a publisher sends at the same time is such a repeat.
 *
 * An event that no queue takes goes to quarantine, so that it does not hold up the others.
 */
export const outboxRelay: Job = {
  name: 'outbox-relay',
  budgetMs: 50_000, // it runs every minute
  async run(run) {
    const cutoff = new Date(run.now.getTime() - AGE_MIN_MS);
    run.progress.cutoff = cutoff;
    let after = '00000000-0000-0000-0000-000000000000';
    while (run.timeLeftMs() > RESERVE_MS) {
      const rows = await run.services.crossTenant.core.query<OutboxRow>(
        `select id, events from ops.outbox where created_at <= $1 and id > $2 order by id limit ${BATCH}`,
        [cutoff, after],
      );
      run.progress.examined += rows.length;
      await relay(run, rows);
      run.progress.deleted += rows.length;
      const last = rows.at(-1);
      if (rows.length < BATCH || last === undefined) return 'completed';
      after = last.id;
    }
    return 'partial';
  },
};

async function relay(run: JobRun, rows: readonly OutboxRow[]): Promise<void> {
  if (rows.length === 0) return;
  const { bus, crossTenant } = run.services;
  try {
    if (rows.every((row) => row.events.every((event) => queueOf(event.type) !== undefined))) {
      await publishEntries(bus, crossTenant.core, rows);
      return;
    }
  } catch (error) {
    if (!(error instanceof MessageTooLarge)) throw error;
  }
  for (const row of rows) {
    for (const event of row.events) {
      if (!(await isPublished(run, event))) await setAside(run, event);
    }
    await crossTenant.core.query('delete from ops.outbox where id = $1', [row.id]);
  }
}

/** Publishes one event; false if it can never be. */
async function isPublished(run: JobRun, event: CloudEvent): Promise<boolean> {
  if (queueOf(event.type) === undefined) return false;
  try {
    await run.services.bus.publish([event]);
    return true;
  } catch (error) {
    if (error instanceof MessageTooLarge) return false;
    throw error;
  }
}

/** The queue under which operators find what has none. */
export const NO_QUEUE = 'outbox';

async function setAside(run: JobRun, event: CloudEvent): Promise<void> {
  const queue = queueOf(event.type);
  const message = {
    body: Buffer.from(JSON.stringify(event), 'utf8'),
    messageId: event.id,
    contentType: 'application/cloudevents+json',
    properties: {},
  };
  const detail =
    queue === undefined
      ? [{ pointer: '/type', detail: 'is no type that a queue takes' }]
      : [{ pointer: '', detail: 'is too large for its queue' }];
  const refusal = { reason: 'UNPUBLISHABLE' as const, detail, tenantId: tenantOf(event) };
  await quarantineMessages(run.services.crossTenant.core, queue ?? NO_QUEUE, [{ message, refusal }], run.now);
  run.progress.details['quarantined'] = Number(run.progress.details['quarantined'] ?? 0) + 1;
}

function tenantOf(event: CloudEvent): string | null {
  const { data } = event;
  if (typeof data !== 'object' || data === null) return null;
  const value: unknown = Reflect.get(data, 'tenant_id');
  return typeof value === 'string' ? value : null;
}
