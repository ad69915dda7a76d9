import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { newEvent, STRIPE_EVENT_RECEIVED, type StripeEventData } from '../../../platform/bus/events.ts';
import type { CallServices, OutboxEntry } from '../../../platform/call/call.ts';
import { recordset, type EncodedRow } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { newEntry, outboxInsert } from '../../../platform/writes/outbox.ts';
import {
  WriteCoalescer,
  type CoalescedRow,
  type RowOutcome,
} from '../../../platform/writes/write-coalescer.ts';
import { isOfErasedSql } from './erased-payload.ts';
import { objectOf } from './event-objects.ts';
import type { GivenEvent } from './stripe-event.ts';

/**
 * When an event without an outcome is due again, whatever became of its message: longer than a message waits in a busy queue.
 * So an event whose message is lost or dead-lettered is found by the timer.
 */
export const OVERDUE_MS = 10 * MINUTE_MS;

/** What storing events needs. */
export type StoreServices = Pick<CallServices, 'publisher'> & {
  readonly crossTenant: { readonly billing: CrossTenantDatabase };
};

/** How an event came here. */
export interface Found {
  readonly by: 'webhook' | 'reconcile';
  readonly now: Date;
}

const EVENTS = recordset({
  event_id: 'text',
  type: 'text',
  api_version: 'text',
  livemode: 'boolean',
  object_type: 'text',
  object_id: 'text',
  created: 'timestamptz',
  payload: 'json text',
  found_by: 'text',
  status: 'text',
  next_attempt_at: 'timestamptz',
  received_at: 'timestamptz',
  outbox_id: 'uuid',
  outbox_events: 'jsonb',
});

/**
 * One statement: the events that are not there yet, and a row of the outbox for each that is to be processed. In the order of
 * their ids, so that two statements with the same events do not wait for each other in a circle.
 */
const STORE_SQL = `
  with item as materialized (select given.* from ${EVENTS.from('given', 1)}),
  stored as (
    insert into stripe_events (event_id, type, api_version, livemode, object_type, object_id, created, payload, found_by, status,
      next_attempt_at, received_at)
    select event_id, type, api_version, livemode, object_type, object_id, created,
           case when ${isOfErasedSql('payload::jsonb')} then null else payload::jsonb end, found_by, status,
           next_attempt_at, received_at
      from item order by event_id
    on conflict (event_id) do nothing
    returning event_id, status),
  caused as (
    ${outboxInsert(`select i.outbox_id, '${PLATFORM_TENANT}', i.outbox_events
                      from item i join stored s on s.event_id = i.event_id where s.status = 'received'`)})
  select outbox_id, event_id in (select event_id from stored) as fresh from item`;

/** An event as a row, with what is published if it is new and to be processed. */
interface Prepared {
  readonly row: CoalescedRow;
  readonly entry: OutboxEntry;
  readonly isHandled: boolean;
}

function prepare(event: GivenEvent, { by, now }: Found): Prepared {
  const subject = {
    type: event.type,
    object_type: event.data.object.object,
    object_id: event.data.object.id ?? null,
  };
  const isHandled = objectOf(subject) !== undefined;
  const entry = receivedEntry(event.id, now);
  const encoded = EVENTS.encode({
    ...subject,
    event_id: event.id,
    api_version: event.api_version ?? null,
    livemode: event.livemode,
    created: new Date(event.created * 1000),
    payload: event.payload,
    found_by: by,
    status: isHandled ? 'received' : 'ignored',
    next_attempt_at: isHandled ? new Date(now.getTime() + OVERDUE_MS) : null,
    received_at: now,
    outbox_id: entry.id,
    outbox_events: entry.events,
  });
  const row = {
    requestId: entry.id,
    // Two deliveries of one event never share a statement: each would bring its row of the outbox.
    idempotencyKey: event.id,
    row: encoded,
    characters: event.payload?.length ?? 0,
  };
  return { row, entry, isHandled };
}

/** Those of the ids that are not stored. */
export async function findUnstored(
  billing: Pick<CrossTenantDatabase, 'query'>,
  ids: readonly string[],
): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await billing.query<{ id: string }>(
    `select w.id from unnest($1::text[]) w (id)
      where not exists (select from stripe_events e where e.event_id = w.id)`,
    [[...ids]],
  );
  return rows.map((row) => row.id);
}

/** The message that an event waits to be processed. */
export function receivedEntry(eventId: string, now: Date): OutboxEntry {
  const data: StripeEventData = { stripe_event_id: eventId };
  return newEntry('billing', PLATFORM_TENANT, [newEvent(STRIPE_EVENT_RECEIVED, data, now)], now);
}

interface StoredRow {
  readonly [column: string]: unknown;
  readonly outbox_id: string;
  readonly fresh: boolean;
}

async function write(
  billing: CrossTenantDatabase,
  rows: readonly EncodedRow[],
): Promise<ReadonlyMap<string, RowOutcome>> {
  const written = await billing.query<StoredRow>(STORE_SQL, EVENTS.bind(rows), { short: true });
  return new Map(written.map(({ outbox_id: id, fresh }) => [id, { free: true, fresh }]));
}

const coalescers = new WeakMap<CrossTenantDatabase, WriteCoalescer>();

function coalescerOf(billing: CrossTenantDatabase): WriteCoalescer {
  let coalescer = coalescers.get(billing);
  if (coalescer === undefined) {
    coalescer = new WriteCoalescer(
      (rows) =>
        write(
          billing,
          rows.map(({ row }) => row),
        ),
      () => coalescers.delete(billing),
    );
    coalescers.set(billing, coalescer);
  }
  return coalescer;
}

/** What became of an event that was to be stored: `repeated` if it was there before. */
export type Stored = 'received' | 'ignored' | 'repeated';

/** Stores an event, with others that come at the same time, and publishes that it waits. A repeated one changes nothing. */
export async function storeEvent(services: StoreServices, event: GivenEvent, found: Found): Promise<Stored> {
  const { row, entry, isHandled } = prepare(event, found);
  const outcomes = await coalescerOf(services.crossTenant.billing).add([row]);
  if (outcomes.get(entry.id)?.fresh !== true) return 'repeated';
  if (!isHandled) return 'ignored';
  services.publisher.publish(entry);
  return 'received';
}

/** Stores the events that are not there yet, each with another id. Returns how many they were. */
export async function storeMissing(
  services: StoreServices,
  events: readonly GivenEvent[],
  found: Found,
): Promise<number> {
  if (events.length === 0) return 0;
  const prepared = events.map((event) => prepare(event, found));
  const outcomes = await write(
    services.crossTenant.billing,
    prepared.map(({ row }) => row.row),
  );
  const missing = prepared.filter(({ entry }) => outcomes.get(entry.id)?.fresh === true);
  for (const { entry, isHandled } of missing) if (isHandled) services.publisher.publish(entry);
  return missing.length;
}
