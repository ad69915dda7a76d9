import { PLATFORM_TENANT } from '../auth/principal.ts';
import { cloudEvent, queueOf, type CloudEvent } from '../bus/events.ts';
import { faultsOf } from '../call/faults.ts';
import type { Fault } from '../call/problem.ts';
import type { CrossTenantDatabases, DatabaseName, OutboxEntry } from '../call/call.ts';
import { inBatch } from '../db/batch-transaction.ts';
import { recordset } from '../db/recordset.ts';
import type { CrossTenantDatabase, TenantTransaction } from '../db/tenant-database.ts';
import { lowestIdAt, newId } from '../ids/ids.ts';
import { MINUTE_MS } from '../time/clock.ts';

// All SQL of ops.outbox. Each of the three databases has that table, because events are stored in the same transaction as
// the write that causes them.

/**
 * SQL that adds rows to the outbox of the statement's own database. `select` yields an id, a tenant and a list of events for
 * each row. Make the rows from entries of {@link newEntry}.
 */
export function outboxInsert(select: string): string {
  return `insert into ops.outbox (id, tenant_id, events) ${select}`;
}

const ENTRIES = recordset({ id: 'uuid', tenant_id: 'text', events: 'jsonb' });
const ADD_SQL = outboxInsert(`select id, tenant_id, events from ${ENTRIES.from('entry', 1)}`);

/** Adds entries in the write's own transaction, or in a separate statement when nothing else is written. */
export async function addToOutbox(
  queries: Pick<TenantTransaction, 'query'>,
  entries: readonly OutboxEntry[],
): Promise<void> {
  if (entries.length === 0) return;
  await queries.query(ADD_SQL, ENTRIES.parameters(rowsOf(entries)));
}

const ADD_AS_PLATFORM_SQL = outboxInsert(
  `select id, scope.tenant_id, events from scope, ${ENTRIES.from('entry', 2)}`,
);

/**
 * Like {@link addToOutbox}, from a tenant's transaction. An operator's work for a tenant also causes events of the platform,
 * and row security accepts the rows of a tenant only from that tenant.
 */
export async function addFromTenant(
  transaction: TenantTransaction,
  entries: readonly OutboxEntry[],
): Promise<void> {
  const isPlatforms = ({ tenantId }: OutboxEntry): boolean =>
    tenantId === PLATFORM_TENANT && tenantId !== transaction.tenantId;
  await addToOutbox(
    transaction,
    entries.filter((entry) => !isPlatforms(entry)),
  );
  const platforms = entries.filter(isPlatforms);
  if (platforms.length > 0)
    await transaction.statementAsPlatform(ADD_AS_PLATFORM_SQL, ENTRIES.parameters(rowsOf(platforms)));
}

function rowsOf(entries: readonly OutboxEntry[]) {
  return entries.map(({ id, tenantId, events }) => ({ id, tenant_id: tenantId, events }));
}

/**
 * Makes the entry of one tenant's write. Its id contains `now`, the time of the call. The call's reservations have the same time,
 * and the sweep of reservations finds the entry by it.
 * @throws Error if an event names another tenant, which would get it. That is a bug, and nothing is written.
 */
export function newEntry(
  database: DatabaseName,
  tenantId: string,
  events: readonly CloudEvent[],
  now: Date,
): OutboxEntry {
  const foreign = events.find((event) => namesOtherTenant(event, tenantId));
  if (foreign !== undefined)
    throw new Error(`an event of type ${foreign.type} names another tenant than its write`);
  return { id: newId(now), database, tenantId, events };
}

/**
 * Makes the entries of a write whose events concern several tenants, one entry for each tenant. An operator's write is in
 * the operator's audit trail and in that of the tenant that it concerns. See {@link addFromTenant}. Only the cross-tenant
 * role may add the rows of any other tenant.
 */
export function newEntries(
  database: DatabaseName,
  tenantId: string,
  events: readonly CloudEvent[],
  now: Date,
): OutboxEntry[] {
  const byTenant = grouped(events, (event) => {
    const named = namedTenant(event);
    return typeof named === 'string' ? named : tenantId;
  });
  return [...byTenant].map(([tenant, ofTenant]) => newEntry(database, tenant, ofTenant, now));
}

// Like Map.groupBy, which Node.js 20 does not have.
function grouped<T, K>(values: readonly T[], keyOf: (value: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}

/** The tenant that an event's data names; undefined if it names none. */
function namedTenant(event: { readonly data?: unknown }): unknown {
  const { data } = event;
  if (typeof data !== 'object' || data === null) return undefined;
  return (Reflect.get(data, 'tenant_id') as unknown) ?? undefined;
}

/** Whether an event names another tenant than its row. */
export function namesOtherTenant(event: { readonly data?: unknown }, tenantId: string): boolean {
  const named = namedTenant(event);
  return named !== undefined && named !== tenantId;
}

/** How many rows wait. */
export async function countOutbox(database: Pick<CrossTenantDatabase, 'query'>): Promise<number> {
  const [row] = await database.query<{ rows: number }>('select count(*)::int as rows from ops.outbox');
  return row?.rows ?? 0;
}

/** A row as it is in the table. Its events can be anything. */
export interface OutboxRow {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly tenant_id: string;
  readonly events: unknown;
}

/** Content of a row that must not be published. */
export interface Unpublishable {
  readonly content: unknown;
  readonly faults: readonly Fault[];
}

/** Checks a row. Returns its events that may be published, and the rest with the reasons. */
export function readRow(
  database: DatabaseName,
  row: OutboxRow,
): { readonly entry: OutboxEntry; readonly unpublishable: readonly Unpublishable[] } {
  const events: CloudEvent[] = [];
  const unpublishable: Unpublishable[] = [];
  if (!Array.isArray(row.events)) {
    unpublishable.push({ content: row.events, faults: [{ pointer: '', detail: 'is not a list of events' }] });
  } else {
    for (const event of row.events as readonly unknown[]) {
      const faults = faultsOfEvent(event, row.tenant_id);
      // Checked above. The parsed event would be another object, with its attributes in another order.
      if (faults.length === 0) events.push(event as CloudEvent);
      else unpublishable.push({ content: event, faults });
    }
  }
  return { entry: { id: row.id, database, tenantId: row.tenant_id, events }, unpublishable };
}

/** The most characters of an id in Service Bus. An event that travels alone uses its own id as the message id. */
const MESSAGE_ID_MAX = 128;

function faultsOfEvent(event: unknown, tenantId: string): Fault[] {
  const parsed = cloudEvent.safeParse(event);
  if (!parsed.success) return faultsOf(parsed.error, '');
  const faults: Fault[] = [];
  if (queueOf(parsed.data.type) === undefined)
    faults.push({ pointer: '/type', detail: 'is not a type that a queue takes' });
  if (parsed.data.id.length > MESSAGE_ID_MAX)
    faults.push({
      pointer: '/id',
      detail: `is longer than the ${MESSAGE_ID_MAX} characters of a message id`,
    });
  if (namesOtherTenant(parsed.data, tenantId))
    faults.push({ pointer: '/data/tenant_id', detail: 'is not the tenant of the write' });
  return faults;
}

/** An id may be this far ahead of its row's time and still wait for that time. The clocks of processes differ by less. */
const AHEAD_MS = 60 * MINUTE_MS;

/**
 * Reads rows older than a time, ordered by id, after one id. An id contains the time of its write, so the range of ids leaves
 * the younger rows out and they are not read. Rows with an id without a time, or with one far ahead, come last.
 */
export function readOutbox(
  database: CrossTenantDatabase,
  { before, afterId, limit }: { readonly before: Date; readonly afterId: string; readonly limit: number },
): Promise<OutboxRow[]> {
  const rows = (from: string, to: string): string =>
    `(select id, tenant_id, events from ops.outbox
       where created_at <= $1 and id > ${from} ${to} order by id limit $3)`;
  return inBatch(database, (transaction) =>
    transaction.query<OutboxRow>(
      `select * from (${rows('$2::uuid', 'and id < $4::uuid')} union all ${rows('greatest($2::uuid, $5::uuid)', '')}) o
        order by id limit $3`,
      [
        before,
        afterId,
        limit,
        lowestIdAt(new Date(before.getTime() + 1)),
        lowestIdAt(new Date(before.getTime() + AHEAD_MS)),
      ],
    ),
  );
}

/** How many rows are counted at most. More than that is a great many. */
const COUNTED_MAX = 5_000;

/** How many rows an outbox has, up to a limit, and when the first one was written. */
export async function measureOutbox(
  database: CrossTenantDatabase,
): Promise<{ readonly rows: number; readonly oldest: string | null }> {
  const [row] = await inBatch(database, (transaction) =>
    transaction.query<{ n: number; oldest: string | null }>(
      `select (select count(*) from (select 1 from ops.outbox order by id limit ${COUNTED_MAX}) o) as n,
              (select created_at from ops.outbox order by id limit 1) as oldest`,
    ),
  );
  return { rows: row?.n ?? 0, oldest: row?.oldest ?? null };
}

/**
 * Deletes the rows of entries, each in its database.
 * @throws what a database throws, after the others are done.
 */
export async function deleteFromOutbox(
  databases: CrossTenantDatabases,
  entries: readonly Pick<OutboxEntry, 'id' | 'database'>[],
): Promise<void> {
  const byDatabase = grouped(entries, (entry) => entry.database);
  const deletions = [...byDatabase].map(([database, ofDatabase]) =>
    databases[database].query(`delete from ops.outbox where id = any($1::uuid[])`, [
      ofDatabase.map((entry) => entry.id),
    ]),
  );
  for (const done of await Promise.allSettled(deletions)) if (done.status === 'rejected') throw done.reason;
}

const CALLS = recordset({ tenant_id: 'text', from_id: 'uuid', to_id: 'uuid' });

/** A call of a tenant, as far as what it caused is concerned. */
interface CallInstant {
  readonly tenantId: string;
  /** `call.now`, which the ids of its entries tell. */
  readonly at: Date;
}

/**
 * The values of one data field in unpublished events of some calls. A row that is not a list of events, or has no such field,
 * yields no value. Each call's rows are found by the time in their ids (see {@link newEntry}), so no other row is read.
 */
export async function findUnpublished(
  database: CrossTenantDatabase,
  field: 'reservation_id',
  calls: readonly CallInstant[],
): Promise<readonly { readonly tenantId: string; readonly value: string }[]> {
  const distinct = new Map(calls.map((call) => [`${call.at.getTime()} ${call.tenantId}`, call]));
  const ranges = [...distinct.values()].map(({ tenantId, at }) => ({
    tenant_id: tenantId,
    from_id: lowestIdAt(at),
    to_id: lowestIdAt(new Date(at.getTime() + 1)),
  }));
  const rows = await database.query<{ tenant_id: string; value: string }>(
    `select o.tenant_id, v.value #>> '{}' as value
       from ${CALLS.from('c', 1)}
      cross join lateral (
        select o.tenant_id, o.events from ops.outbox o
         where o.id >= c.from_id and o.id < c.to_id and o.tenant_id = c.tenant_id offset 0) o,
            jsonb_path_query(o.events, '$[*].data.${field}') v (value)`,
    CALLS.parameters(ranges),
  );
  return rows.map((row) => ({ tenantId: row.tenant_id, value: row.value }));
}

/** Whether an event of a tenant that has not left yet has a text of a pattern (PostgreSQL's, without case). */
export async function isNamedInOutbox(
  database: Pick<CrossTenantDatabase, 'query'>,
  tenantId: string,
  pattern: string,
): Promise<boolean> {
  const rows = await database.query(
    `select 1 as one from ops.outbox where tenant_id = $1 and events::text ~* $2 limit 1`,
    [tenantId, pattern],
  );
  return rows.length > 0;
}
