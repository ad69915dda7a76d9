import type { ServiceBusMessage } from '@azure/service-bus';
import type { z } from 'zod';
import { DependencyUnavailable } from '../../platform/db/errors.ts';
import type { CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { accepted, ok, type Reply } from '../../platform/call/reply.ts';
import { newId } from '../../platform/ids/ids.ts';
import { performPlatformWrite, type Effect } from '../../platform/writes/perform-write.ts';
import { queueOf } from '../../platform/bus/events.ts';
import { MessageTooLarge } from '../../platform/bus/bus-sender.ts';
import { EVENT_BATCH, ONE_EVENT } from '../../platform/bus/pack-events.ts';
import type { discardBody, Discarded, replayBody, Replayed } from './quarantine-schemas.ts';
import { notInQuarantine } from './read-quarantine.ts';
import { NO_QUEUE } from '../../platform/writes/outbox-relay.ts';

interface Quarantined {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly queue: string;
  readonly body: Buffer;
  readonly properties: {
    readonly content_type?: string | null;
    readonly application_properties?: Readonly<Record<string, unknown>>;
  };
  readonly status: 'open' | 'replayed' | 'discarded';
  readonly attempts: number;
}

/**
 * Sends a message to its queue again, unchanged or corrected. It gets a new message id, so that the broker does not drop it
 * as a duplicate. It is sent first and marked afterwards: after a crash in between it stays open, and an event that is sent
 * twice counts once. If it is refused again, it is a new message in quarantine.
 * @throws Problem 404; 409 if it was discarded, or no queue takes it; 503 when the broker is unavailable.
 */
export function replayQuarantined(
  call: Call,
  id: string,
  given: z.output<typeof replayBody>,
): Promise<Reply<202, Replayed>> {
  return performPlatformWrite(call, async (transaction) => {
    const item = await lockOpen(transaction, id);
    const queue = queueFor(item, given.body);
    const messageId = newId(call.now);
    await send(call, queue, { ...contentOf(item, given.body), messageId });
    const attempts = item.attempts + 1;
    await resolve(call, transaction, id, {
      status: 'replayed',
      attempts,
      resolution: `message ${messageId}`,
    });
    return effect(
      'replayed',
      item,
      accepted({ id, queue, status: 'replayed', attempts, message_id: messageId }),
      { mended: given.body !== undefined, message_id: messageId },
    );
  });
}

/**
 * Marks a message as never to be processed. Its bytes are kept.
 * @throws Problem 404; 409 if it was discarded before.
 */
export function discardQuarantined(
  call: Call,
  id: string,
  given: z.output<typeof discardBody>,
): Promise<Reply<200, Discarded>> {
  return performPlatformWrite(call, async (transaction) => {
    const item = await lockOpen(transaction, id);
    const { attempts } = item;
    await resolve(call, transaction, id, { status: 'discarded', attempts, resolution: given.reason });
    return effect('discarded', item, ok({ id, queue: item.queue, status: 'discarded', attempts }), {});
  });
}

async function lockOpen(transaction: CrossTenantTransaction, id: string): Promise<Quarantined> {
  const [item] = await transaction.query<Quarantined>(
    `select id, queue, body, properties, status, attempts from ops.quarantine where id = $1 for update`,
    [id],
  );
  if (item === undefined) throw notInQuarantine();
  if (item.status === 'discarded') throw new Problem('CONFLICT', { detail: 'The message was discarded.' });
  return item;
}

type Mended = z.output<typeof replayBody>['body'];

function queueFor(item: Quarantined, mended: Mended): string {
  if (item.queue !== NO_QUEUE) return item.queue;
  const type = Array.isArray(mended) ? undefined : mended?.['type'];
  const queue = typeof type === 'string' ? queueOf(type) : undefined;
  if (queue === undefined)
    throw new Problem('CONFLICT', { detail: 'No queue takes the message; correct its type.' });
  return queue;
}

function contentOf(item: Quarantined, mended: Mended): ServiceBusMessage {
  const properties = Object.entries(item.properties.application_properties ?? {});
  // A corrected message that is a whole event must not have the envelope in its properties: that would take precedence.
  const isWhole = mended !== undefined && (Array.isArray(mended) || Object.hasOwn(mended, 'specversion'));
  const kept = properties.filter(([name]) => !(isWhole && /^cloudEvents[:_]/.test(name)));
  const wholeType = Array.isArray(mended) ? EVENT_BATCH : ONE_EVENT;
  const contentType = isWhole ? wholeType : item.properties.content_type;
  return {
    body: mended ?? item.body,
    ...(contentType === undefined || contentType === null ? {} : { contentType }),
    applicationProperties: Object.fromEntries(
      kept.filter((entry): entry is [string, string | number | boolean] =>
        ['string', 'number', 'boolean'].includes(typeof entry[1]),
      ),
    ),
  };
}

async function send(call: Call, queue: string, message: ServiceBusMessage): Promise<void> {
  try {
    await call.services.bus.send(queue, [message]);
  } catch (error) {
    if (error instanceof MessageTooLarge)
      throw new Problem('CONFLICT', { detail: 'The message is too large for its queue.', cause: error });
    throw new DependencyUnavailable('Service Bus', error);
  }
}

async function resolve(
  call: Call,
  transaction: CrossTenantTransaction,
  id: string,
  to: { status: 'replayed' | 'discarded'; attempts: number; resolution: string },
): Promise<void> {
  await transaction.query(
    `update ops.quarantine set status = $2, attempts = $3, resolution = $4, resolved_at = $5, resolved_by = $6
      where id = $1`,
    [id, to.status, to.attempts, to.resolution, call.now, call.principal.actor],
  );
}

function effect<Answer extends Reply>(
  what: 'replayed' | 'discarded',
  item: Quarantined,
  reply: Answer,
  details: Readonly<Record<string, unknown>>,
): Effect<Answer> {
  return {
    reply,
    audit: {
      action: `quarantine.${what}`,
      resource_type: 'quarantined_message',
      resource_id: item.id,
      details: { queue: item.queue, ...details },
    },
  };
}
