import { dataFaultOf, faultOf } from '../db/errors.ts';
import type { TenantContext } from '../auth/tenant-context.ts';
import {
  EventRefused,
  type AnyConsumer,
  type ConsumeServices,
  type EventConsumer,
  type TenantEvent,
  type WriteTally,
} from './event-consumer.ts';
import type { QuarantinedMessage } from './quarantine.ts';
import { readEvent, unknownTenant, type Envelope, type ReceivedEvent } from './read-event.ts';
import { isRefusal, refuse, type Refusal } from './refusal.ts';

/**
 * Reads events of one type and writes the valid ones together. If the database refuses an event, finds it and writes the
 * others. Returns the events that can never be written. Adds those that were there already to `tally`.
 * @throws only temporary errors.
 */
export function writeEvents(
  services: ConsumeServices,
  consumer: AnyConsumer,
  envelopes: readonly Envelope[],
  now: Date,
  tally: WriteTally,
): Promise<QuarantinedMessage[]> {
  return consumer.tenantless === true
    ? writeTenantless(services, consumer, envelopes, now, tally)
    : writeOfTenants(services, consumer, envelopes, now, tally);
}

async function writeTenantless(
  services: ConsumeServices,
  consumer: Extract<AnyConsumer, { tenantless: true }>,
  envelopes: readonly Envelope[],
  now: Date,
  tally: WriteTally,
): Promise<QuarantinedMessage[]> {
  const { events, refused } = readAll(envelopes, (envelope) => readEvent(envelope, consumer, now));
  const unwritten = await writeSome(events, tally, (some, own) => consumer.write(services, some, now, own));
  return [...refused, ...unwritten.map(([event, refusal]) => putAside(event, refusal))];
}

async function writeOfTenants<T extends { readonly tenant_id: string }>(
  services: ConsumeServices,
  consumer: EventConsumer<T>,
  envelopes: readonly Envelope[],
  now: Date,
  tally: WriteTally,
): Promise<QuarantinedMessage[]> {
  const { events: read, refused } = readAll(envelopes, (envelope) => readEvent(envelope, consumer, now));
  const tenants = await findTenants(services, new Set(read.map((event) => event.data.tenant_id)));
  const events: TenantEvent<T>[] = [];
  for (const event of read) {
    const tenant = tenants.get(event.data.tenant_id);
    if (tenant === undefined) refused.push(putAside(event, unknownTenant(event.data.tenant_id)));
    else events.push({ ...event, tenant });
  }
  const unwritten = await writeSome(events, tally, (some, own) => consumer.write(services, some, now, own));
  const told = unwritten.map(([event, refusal]) =>
    putAside(event, { ...refusal, tenantId: event.tenant.tenantId }),
  );
  return [...refused, ...told];
}

function readAll<E>(
  envelopes: readonly Envelope[],
  read: (envelope: Envelope) => (E & object) | Refusal,
): { events: E[]; refused: QuarantinedMessage[] } {
  const events: E[] = [];
  const refused: QuarantinedMessage[] = [];
  for (const envelope of envelopes) {
    const event = read(envelope);
    if (isRefusal(event)) refused.push(putAside(envelope, event));
    else events.push(event);
  }
  return { events, refused };
}

function putAside({ given }: Pick<Envelope, 'given'>, refusal: Refusal): QuarantinedMessage {
  return { message: given.message, place: given.place, refusal };
}

/** Finds the tenants that exist. An erased tenant does not count, because nothing of it may be written again. */
async function findTenants(
  services: ConsumeServices,
  tenantIds: ReadonlySet<string>,
): Promise<Map<string, TenantContext>> {
  const found = new Map<string, TenantContext>();
  for (const tenantId of tenantIds) {
    let context = await services.tenants.find(tenantId);
    if (context === null) {
      // The cache may still say that the tenant does not exist, from just before it was created.
      services.tenants.forget(tenantId);
      context = await services.tenants.find(tenantId);
    }
    if (context !== null && context.status !== 'erased') found.set(tenantId, context);
  }
  return found;
}

/** Writes events together. When they are refused, halves them until the refused ones are alone, and returns those. */
async function writeSome<E extends ReceivedEvent<unknown>>(
  events: readonly E[],
  tally: WriteTally,
  write: (events: readonly E[], tally: WriteTally) => Promise<void>,
): Promise<[E, Refusal][]> {
  const [first] = events;
  if (first === undefined) return [];
  try {
    // Of its own: what a refused write counted does not count.
    const own = { duplicates: 0 };
    await write(events, own);
    tally.duplicates += own.duplicates;
    return [];
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    if (events.length === 1) return [[first, refusal]];
  }
  const middle = Math.ceil(events.length / 2);
  return [
    ...(await writeSome(events.slice(0, middle), tally, write)),
    ...(await writeSome(events.slice(middle), tally, write)),
  ];
}

/** The refusal for an error that the data causes; undefined for temporary errors and our own bugs. */
function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof EventRefused) return refuse('REFUSED', '/data', error.detail);
  if (faultOf(error) === 'no_partition') return undefined;
  const sqlState = dataFaultOf(error);
  if (sqlState === undefined) return undefined;
  return refuse('REFUSED_BY_DATABASE', '/data', `was refused with SQLSTATE ${sqlState}`);
}
