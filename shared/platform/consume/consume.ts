import { dataFaultOf, faultOf } from '../db/errors.ts';
import type { CallServices } from '../call/call.ts';
import type { TenantContext } from '../auth/tenant-context.ts';
import { retryWithBackoff } from './retry-with-backoff.ts';
import { quarantineMessages, type QuarantinedMessage } from './quarantine.ts';
import {
  isRefusal,
  readEvent,
  unknownTenant,
  type EventShape,
  type ReceivedEvent,
  type Refusal,
} from './read-event.ts';
import { receivedMessages, type ReceivedMessage } from './received-message.ts';

/** What consumers may use. */
export type ConsumeServices = Pick<
  CallServices,
  'settings' | 'clock' | 'crossTenant' | 'tenants' | 'publisher' | 'blobs'
>;

/** What becomes of one queue's events. */
export interface EventConsumer<T extends { readonly tenant_id: string }> extends EventShape<T> {
  /**
   * Writes events, all or none in each database, idempotent by the event's source and id: any of them may come again.
   * Throws what the database throws, or {@link EventRefused}.
   */
  write(services: ConsumeServices, events: readonly ReceivedEvent<T>[], now: Date): Promise<void>;
}

/** An event that its consumer can never write; thrown for a batch, it is looked for among the batch's events. */
export class EventRefused extends Error {
  override name = 'EventRefused';
  readonly detail: string;
  constructor(detail: string) {
    super(detail);
    this.detail = detail;
  }
}

/** A queue and what consumes it. */
export interface QueueConsumer {
  readonly queue: string;
  /** Consumes what the Functions host handed over. @throws as {@link consumeBatch}, after retries. */
  consume(
    services: ConsumeServices,
    messages: unknown,
    triggerMetadata: Readonly<Record<string, unknown>> | undefined,
  ): Promise<void>;
}

/** Declares the consumer of a queue. */
export function queueConsumer<T extends { readonly tenant_id: string }>(
  queue: string,
  consumer: EventConsumer<T>,
): QueueConsumer {
  return {
    queue,
    consume: (services, messages, triggerMetadata) => {
      const received = receivedMessages(messages, triggerMetadata);
      return retryWithBackoff(() => consumeBatch(services, queue, consumer, received));
    },
  };
}

/**
 * Consumes a batch. Each message is read on its own; the valid ones are written together, and where the database refuses
 * one, that one is found and the others are written; what can never be processed goes to quarantine and counts as done.
 * The batch's locks are not renewed: a batch of 200 ends well within their five minutes, or throws.
 * @throws only what may pass: a database that is away or busy, or a fault of our own. Then the whole batch comes again.
 */
export async function consumeBatch<T extends { readonly tenant_id: string }>(
  services: ConsumeServices,
  queue: string,
  consumer: EventConsumer<T>,
  messages: readonly ReceivedMessage[],
): Promise<void> {
  const now = services.clock.now();
  const refused: QuarantinedMessage[] = [];
  const read: Omit<ReceivedEvent<T>, 'tenant'>[] = [];
  for (const message of messages) {
    const event = readEvent(message, consumer, now);
    if (isRefusal(event)) refused.push({ message, refusal: event });
    else read.push(event);
  }
  const tenants = await findTenants(services, new Set(read.map((event) => event.data.tenant_id)));
  const events: ReceivedEvent<T>[] = [];
  for (const event of read) {
    const tenant = tenants.get(event.data.tenant_id);
    if (tenant === undefined)
      refused.push({ message: event.message, refusal: unknownTenant(event.data.tenant_id) });
    else events.push({ ...event, tenant });
  }
  for (const [event, refusal] of await writeAll(services, consumer, events, now))
    refused.push({ message: event.message, refusal });
  await quarantineMessages(services.crossTenant.core, queue, refused, now);
}

/** The tenants that exist. One that is erased does not: nothing of it may be written down again. */
async function findTenants(
  services: ConsumeServices,
  tenantIds: ReadonlySet<string>,
): Promise<Map<string, TenantContext>> {
  const found = new Map<string, TenantContext>();
  for (const tenantId of tenantIds) {
    let context = await services.tenants.find(tenantId);
    if (context === null) {
      // That it does not exist may be remembered from just before it was made.
      services.tenants.forget(tenantId);
      context = await services.tenants.find(tenantId);
    }
    if (context !== null && context.status !== 'erased') found.set(tenantId, context);
  }
  return found;
}

/** Writes events together; halves what is refused until the refused ones stand alone. Answers those. */
async function writeAll<T extends { readonly tenant_id: string }>(
  services: ConsumeServices,
  consumer: EventConsumer<T>,
  events: readonly ReceivedEvent<T>[],
  now: Date,
): Promise<[ReceivedEvent<T>, Refusal][]> {
  const [first] = events;
  if (first === undefined) return [];
  try {
    await consumer.write(services, events, now);
    return [];
  } catch (error) {
    const refusal = refusalOf(error, first);
    if (refusal === undefined) throw error;
    if (events.length === 1) return [[first, refusal]];
  }
  const middle = Math.ceil(events.length / 2);
  return [
    ...(await writeAll(services, consumer, events.slice(0, middle), now)),
    ...(await writeAll(services, consumer, events.slice(middle), now)),
  ];
}

/** The refusal that an error means, if it is the data's fault and not the moment's, or ours. */
function refusalOf<T>(error: unknown, event: ReceivedEvent<T>): Refusal | undefined {
  const tenantId = event.tenant.tenantId;
  if (error instanceof EventRefused)
    return { reason: 'REFUSED', detail: [{ pointer: '/data', detail: error.detail }], tenantId };
  if (faultOf(error) === 'no_partition') return undefined;
  const sqlState = dataFaultOf(error);
  if (sqlState === undefined) return undefined;
  return {
    reason: 'REFUSED_BY_DATABASE',
    detail: [{ pointer: '/data', detail: `was refused with SQLSTATE ${sqlState}` }],
    tenantId,
  };
}
