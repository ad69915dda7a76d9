import type { ConsumeServices } from '../../../platform/consume/event-consumer.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import { derivedId } from '../../../platform/ids/derived-id.ts';
import { DAY_MS, MINUTE_MS } from '../../../platform/time/clock.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import { payloadOf, type Fact } from '../facts/fact.ts';
import { quietMs } from './backoff.ts';
import { dueEvent, overdueAt } from './due-event.ts';

/** An older fact is no news. Events of long ago come again after a restore, when the rows that would recognise them may be lost. */
const FACT_MAX_AGE_MS = 7 * DAY_MS;

const DELIVERIES = recordset({
  tenant_id: 'text',
  delivery_id: 'uuid',
  endpoint_id: 'uuid',
  event_id: 'text',
  event_type: 'text',
  payload: 'text',
  next_attempt_at: 'timestamptz',
});

interface WantingEndpoint {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly endpoint_id: string;
  readonly event_types: readonly string[];
  readonly failing_since: string | null;
}

/** One failure says little. An endpoint that fails for longer is asked by the timer alone. */
const FAILING_FOR_MS = MINUTE_MS;

/**
 * Makes one delivery of each fact for each endpoint that wants it, and queues it. Deliveries are recognised by event and endpoint, so
 * a fact that comes twice is delivered once. Without facts it costs nothing; for tenants without endpoints one look-up by key a batch.
 * @throws what the database throws.
 */
export async function fanOut(
  services: Pick<ConsumeServices, 'crossTenant' | 'publisher'>,
  facts: readonly Fact[],
  now: Date,
): Promise<void> {
  const news = facts.filter(({ at }) => now.getTime() - at.getTime() <= FACT_MAX_AGE_MS);
  if (news.length === 0) return;
  const tenantIds = [...new Set(news.map(({ tenantId }) => tenantId))];
  const endpoints = await services.crossTenant.core.query<WantingEndpoint>(
    `select e.tenant_id, e.endpoint_id, e.event_types, e.failing_since
       from unnest($1::text[]) as t (tenant_id)
      cross join lateral (
        select * from ops.webhook_endpoints w where w.tenant_id = t.tenant_id and w.is_active offset 0) e`,
    [tenantIds],
    { short: true },
  );
  const rows = news.flatMap((fact) =>
    endpoints
      .filter(({ tenant_id: id, event_types: types }) => id === fact.tenantId && types.includes(fact.type))
      .map((endpoint) => rowOf(fact, endpoint, now)),
  );
  if (rows.length === 0) return;
  for (const entry of await insertDeliveries(services, rows, now)) services.publisher.publish(entry);
}

function rowOf(fact: Fact, { endpoint_id: id, failing_since: since }: WantingEndpoint, now: Date) {
  const isFailing = since !== null && now.getTime() - Date.parse(since) > FAILING_FOR_MS;
  return {
    tenant_id: fact.tenantId,
    delivery_id: derivedId(fact.at, ['webhook', fact.tenantId, id, fact.eventId]),
    endpoint_id: id,
    event_id: fact.eventId,
    event_type: fact.type,
    payload: payloadOf(fact, fact.type),
    next_attempt_at: isFailing ? new Date(now.getTime() + quietMs(since, now)) : overdueAt(now),
    isFailing,
  };
}

async function insertDeliveries(
  { crossTenant }: Pick<ConsumeServices, 'crossTenant'>,
  rows: readonly ReturnType<typeof rowOf>[],
  now: Date,
): Promise<readonly OutboxEntry[]> {
  // In one order, so that two batches with the same facts do not wait for each other.
  const ordered = rows.toSorted((a, b) => (a.delivery_id < b.delivery_id ? -1 : 1));
  return inBatch(crossTenant.core, async (transaction) => {
    const added = await transaction.query<{ tenant_id: string; delivery_id: string }>(
      `insert into ops.webhook_deliveries (tenant_id, delivery_id, endpoint_id, event_id, event_type, payload, next_attempt_at, created_at)
       select d.*, $1 from ${DELIVERIES.from('d', 2)}
       on conflict do nothing returning tenant_id, delivery_id`,
      [now, ...DELIVERIES.parameters(ordered)],
    );
    const waiting = new Set(rows.filter((row) => row.isFailing).map((row) => row.delivery_id));
    const queued = added.filter(({ delivery_id: id }) => !waiting.has(id));
    const entries = [...new Set(queued.map(({ tenant_id: id }) => id))].map((tenantId) => {
      const own = queued.filter(({ tenant_id: id }) => id === tenantId);
      return newEntry(
        'core',
        tenantId,
        own.map((delivery) => dueEvent({ ...delivery, attempts: 0 }, now)),
        now,
      );
    });
    await addToOutbox(transaction, entries);
    return entries;
  });
}
