import type { CloudEvent } from '../bus/events.ts';
import { faultOf } from '../db/errors.ts';
import { recordset } from '../db/recordset.ts';
import type { CrossTenantTransaction } from '../db/tenant-database.ts';
import { DAY_MS } from '../time/clock.ts';
import type { TenantEvent } from './event-consumer.ts';

/**
 * A producer that sends an event again may give it a new time. Within this span it counts as the same event. (A PostgreSQL
 * interval. The ledgers are partitioned by time, so their unique keys must contain the time.)
 */
const SAME_EVENT_SPAN = '1 day';
const SAME_EVENT_SPAN_MS = DAY_MS;

/** A ledger of events, partitioned by their time. */
export interface EventLedger {
  readonly table: string;
  readonly timeColumn: string;
}

/** The identity of an event, with its time. */
export interface EventIdentity {
  readonly tenant_id: string;
  readonly source: string;
  readonly event_id: string;
  /** RFC 3339 in UTC. */
  readonly at: string;
}

const IDENTITIES = recordset({ tenant_id: 'text', source: 'text', event_id: 'text', at: 'timestamptz' });

/**
 * Written for a new partition without statistics. The look-up in the ledger is a scalar subquery, so it cannot become a join
 * over the whole ledger. The event's own time is in an expression that no index can use: otherwise the planner might choose
 * the index of times instead of the one of identities, and read it completely. The only bound is a lower one, which excludes
 * older partitions: with an upper bound too, the planner chooses the index of times. A test checks the plan.
 */
function knownText({ table, timeColumn }: EventLedger): string {
  return `select e.n::int from (
      select i.*, row_number() over () as n from ${IDENTITIES.from('i', 2)}) e
    where (select true from ${table} known
            where known.tenant_id = e.tenant_id and known.event_source = e.source and known.event_id = e.event_id
              and known.${timeColumn} >= $1
              and known.${timeColumn} - e.at between interval '-${SAME_EVENT_SPAN}' and interval '${SAME_EVENT_SPAN}'
            limit 1)`;
}

/**
 * Finds the events that their ledger does not have yet. Two batches with the same event may both find it new, so their
 * inserts need a unique key, see {@link insertNew}.
 * @throws what the database throws.
 */
export async function findNew<E extends EventIdentity>(
  database: Pick<CrossTenantTransaction, 'query'>,
  ledger: EventLedger,
  events: readonly E[],
): Promise<readonly E[]> {
  if (events.length === 0) return events;
  const earliest = Math.min(...events.map(({ at }) => Date.parse(at)));
  const parameters = [new Date(earliest - SAME_EVENT_SPAN_MS), ...IDENTITIES.parameters(events)];
  // Unnamed, so it is planned with its time and with the current sizes of partitions. The time excludes partitions. A cached
  // plan from empty partitions would read whole indexes when they fill up.
  const rows = await database.query<{ n: number }>(knownText(ledger), parameters, { prepare: false });
  const known = new Set(rows.map(({ n }) => n - 1));
  return known.size === 0 ? events : events.filter((_, n) => !known.has(n));
}

/** What an insert does with existing rows: it fails as a whole, or skips them. */
export type OnConflict = '' | 'on conflict do nothing';

/**
 * Inserts events that seem new, in one statement or transaction. It tries a plain insert first, because PostgreSQL needs
 * half as long again to check each row for conflicts. If another batch has just written one of the events, the plain insert
 * fails, and a second insert skips conflicts.
 * @throws what the insert throws, except for the first unique violation.
 */
export async function insertNew<T>(insert: (onConflict: OnConflict) => Promise<T>): Promise<T> {
  try {
    return await insert('');
  } catch (error) {
    if (faultOf(error) !== 'unique') throw error;
  }
  return insert('on conflict do nothing');
}

/**
 * Events in the order in which all batches insert them. So two batches with the same events wait for each other and do not
 * deadlock.
 */
export function inInsertOrder<E extends EventIdentity>(events: readonly E[]): E[] {
  return [...events].sort(
    (left, right) =>
      compare(left.tenant_id, right.tenant_id) ||
      compare(left.source, right.source) ||
      compare(left.event_id, right.event_id),
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/**
 * Each event once, by tenant, source and id. An event may occur in a batch twice, even with two times. The first one counts.
 */
export function firstOfEach<T>(events: readonly TenantEvent<T>[]): TenantEvent<T>[] {
  const seen = new Set<string>();
  return events.filter(({ tenant, source, id }) => {
    const identity = `${tenant.tenantId}\0${source}\0${id}`; // none of them can contain a NUL
    return seen.size < seen.add(identity).size;
  });
}

/** Those of the events that their ledger does not have. */
export async function findNewEvents<D extends { readonly tenant_id: string }>(
  database: Pick<CrossTenantTransaction, 'query'>,
  ledger: EventLedger,
  events: readonly CloudEvent<D>[],
): Promise<CloudEvent<D>[]> {
  const identities = events.map((event) => ({
    tenant_id: event.data.tenant_id,
    source: event.source,
    event_id: event.id,
    at: event.time,
    event,
  }));
  return (await findNew(database, ledger, identities)).map(({ event }) => event);
}
