import { faultOf } from '../db/errors.ts';
import { recordset } from '../db/recordset.ts';
import type { CrossTenantTransaction } from '../db/tenant-database.ts';
import { DAY_MS } from '../time/clock.ts';
import type { TenantEvent } from './event-consumer.ts';

/**
 * A producer that sends an event again may stamp it anew; within this span it is known for the same all the same. (An
 * interval of PostgreSQL. The ledgers are partitioned by time: no unique key of theirs can do without it.)
 */
const SAME_EVENT_SPAN = '1 day';
const SAME_EVENT_SPAN_MS = DAY_MS;

/** A ledger of events, partitioned by the time that they happened. */
export interface EventLedger {
  readonly table: string;
  readonly timeColumn: string;
}

/** What tells an event from every other one. */
export interface EventIdentity {
  readonly tenant_id: string;
  readonly source: string;
  readonly event_id: string;
  /** RFC 3339 in UTC. */
  readonly at: string;
}

const IDENTITIES = recordset({ tenant_id: 'text', source: 'text', event_id: 'text', at: 'timestamptz' });

/**
 * Written for a partition that has no statistics yet, as each has on its first day: the look into the ledger is a scalar,
 * which cannot become a join over the whole of it; and the event's own time stands where no index can use it, since an
 * index of times would seem as good as the one of identities, and is read from end to end. Nor is there an upper bound,
 * which would leave out the partitions ahead: with both bounds the planner takes the index of times. A test looks at the plan.
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
 * Those of the events that their ledger does not have yet. Two batches with the same event may both find it new: what they
 * insert has to meet in a unique key, see {@link insertNew}.
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
  // Unnamed: planned with its time, by which it knows the partitions that cannot be concerned, and with their sizes as they
  // are now. A plan that was kept from when they were empty would go on reading whole indexes as they fill.
  const rows = await database.query<{ n: number }>(knownText(ledger), parameters, { prepare: false });
  const known = new Set(rows.map(({ n }) => n - 1));
  return known.size === 0 ? events : events.filter((_, n) => !known.has(n));
}

/** What an insert does about rows that are there already: fails as a whole, or leaves them out. */
export type OnConflict = '' | 'on conflict do nothing';

/**
 * Inserts events that are new as far as their ledger showed, in one statement or transaction. The plain insert comes first:
 * asked to look for conflicts row by row, PostgreSQL takes half as long again. It fails, and is done again with that look,
 * where another batch wrote one of the events a moment before.
 * @throws what the insert throws, but for the first unique violation.
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
 * Events in the order in which all batches insert them, so that two with the same events wait for each other, and do not
 * block each other.
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

/** Each event once, by tenant, source and id. One may stand in a batch twice, even with two times; the first one counts. */
export function firstOfEach<T>(events: readonly TenantEvent<T>[]): TenantEvent<T>[] {
  const seen = new Set<string>();
  return events.filter(({ tenant, source, id }) => {
    const identity = `${tenant.tenantId}\0${source}\0${id}`; // none of them may hold a NUL
    return seen.size < seen.add(identity).size;
  });
}
