import type { Job, JobRun } from '../jobs/job.ts';
import { queueOf } from '../bus/events.ts';
import { MessageTooLarge } from '../bus/bus-sender.ts';
import type { DatabaseName, OutboxEntry } from '../call/call.ts';
import type { Fault } from '../call/problem.ts';
import { quarantineMessages } from '../consume/quarantine.ts';
import { errorFields, log } from '../log/log.ts';
import { count } from '../telemetry/metrics.ts';
import { deleteFromOutbox, readOutbox, readRow } from './outbox.ts';

/**
 * The process that wrote younger rows is still publishing them. If they were sent here too, the broker would drop the
 * duplicates.
 */
const AGE_MIN_MS = 10_000;
/** Rows that are read at once from one database: about 600 events. */
const BATCH = 200;
/** A send and its retries take seconds. With less time left, the next run continues. */
const RESERVE_MS = 6_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const DATABASES: readonly DatabaseName[] = ['core', 'billing', 'analytics'];

/**
 * Publishes what the publisher did not publish after the commit: its process died, the broker was unavailable, or too many
 * entries waited. It follows the order of the writes of one database. It deletes a row after the broker has its events, so a
 * crash in between sends them twice instead of never. The broker drops repeats, and consumers count an event once. No row is
 * locked meanwhile: the job's lock keeps two relays apart, and an event that a publisher sends at the same time is such a
 * repeat.
 *
 * The three databases take turns, so that a long outbox does not delay the others. When one database fails, the others are
 * still drained. Then the run fails with the first error. Content that must not be published goes to quarantine, event by
 * event, so that it delays nothing.
 */
export const outboxRelay: Job = {
  name: 'outbox-relay',
  budgetMs: 50_000, // it runs every minute
  async run(run) {
    run.progress.cutoff = new Date(run.now.getTime() - AGE_MIN_MS);
    const failures: unknown[] = [];
    let turns = DATABASES.map((database) => ({ database, afterId: FIRST_ID }));
    while (turns.length > 0 && run.timeLeftMs() > RESERVE_MS) {
      const next: typeof turns = [];
      for (const { database, afterId } of turns) {
        try {
          const lastId = await relayBatch(run, database, afterId, run.progress.cutoff);
          if (lastId !== undefined) next.push({ database, afterId: lastId });
        } catch (error) {
          log.error('outbox-not-drained', { database, run_id: run.runId, ...errorFields(error) });
          run.progress.details[`${database}_failed`] = true;
          failures.push(error);
        }
      }
      turns = next;
    }
    if (failures.length > 0) throw failures[0];
    return turns.length === 0 ? 'completed' : 'partial';
  },
};

/** Relays one database's next rows. Returns the last one's id, or undefined when there are no more. */
async function relayBatch(
  run: JobRun,
  database: DatabaseName,
  afterId: string,
  before: Date,
): Promise<string | undefined> {
  const page = { before, afterId, limit: BATCH };
  const rows = await readOutbox(run.services.crossTenant[database], page);
  run.progress.examined += rows.length;
  const entries: OutboxEntry[] = [];
  for (const row of rows) {
    const { entry, unpublishable } = readRow(database, row);
    for (const { content, faults } of unpublishable) await setAside(run, entry, content, faults);
    entries.push(entry);
  }
  if (entries.length > 0) await relay(run, entries);
  run.progress.deleted += rows.length;
  return rows.length < BATCH ? undefined : rows.at(-1)?.id;
}

async function relay(run: JobRun, entries: readonly OutboxEntry[]): Promise<void> {
  const { bus, crossTenant } = run.services;
  try {
    await bus.publish(entries.flatMap((entry) => entry.events));
  } catch (error) {
    if (!(error instanceof MessageTooLarge)) {
      count('publish_failures_total', { by: 'relay' });
      throw error;
    }
    // The broker has all the other events.
    const tooLarge = new Set(error.events);
    const fault = { pointer: '', detail: 'is too large for its queue' };
    for (const entry of entries)
      for (const event of entry.events) if (tooLarge.has(event)) await setAside(run, entry, event, [fault]);
  }
  await deleteFromOutbox(crossTenant, entries);
}

/** The queue name in quarantine for content without a queue. */
export const NO_QUEUE = 'outbox';

/**
 * Puts an event, or a row that is not a list of events, into quarantine. Its row is deleted later: a crash in between
 * repeats this.
 */
async function setAside(
  run: JobRun,
  entry: OutboxEntry,
  content: unknown,
  detail: readonly Fault[],
): Promise<void> {
  const message = {
    body: Buffer.from(JSON.stringify(content), 'utf8'),
    messageId: textIn(content, 'id') ?? entry.id,
    contentType: 'application/cloudevents+json',
    properties: {},
  };
  const refusal = { reason: 'UNPUBLISHABLE' as const, detail, tenantId: entry.tenantId };
  const queue = queueOf(textIn(content, 'type') ?? '') ?? NO_QUEUE;
  await quarantineMessages(run.services.crossTenant.core, queue, [{ message, refusal }], run.now);
  run.progress.details['quarantined'] = Number(run.progress.details['quarantined'] ?? 0) + 1;
}

function textIn(content: unknown, name: string): string | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  const value: unknown = Reflect.get(content, name);
  return typeof value === 'string' ? value : undefined;
}
