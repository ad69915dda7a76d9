import { refKey, type FindExisting, type RequestRef } from '../../../platform/db/find-existing.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import type { CallServices, CrossTenantDatabases } from '../../../platform/call/call.ts';
import { DAY_MS, MINUTE_MS } from '../../../platform/time/clock.ts';
import { findUnpublished } from '../../../platform/writes/outbox.ts';

/** No request runs as long as this: the host ends a function after 10 minutes, the load balancer answers after 230 s. */
const YOUNG_MS = 15 * MINUTE_MS;

/**
 * How long a reservation is kept when its write left a row. The usage event may wait in a queue, in quarantine or among dead
 * letters. After this time the reservation is released; an event that still comes counts in the period of its own time.
 */
const WRITTEN_MS = 7 * DAY_MS;

/**
 * The same for a write that leaves no row with the reservation's id (a random id, not a request's). When its event has left
 * the outbox, nothing shows whether the write happened. A day is longer than any ordinary backlog.
 */
const UNTRACED_MS = DAY_MS;

const RESERVATIONS = recordset({ tenant_id: 'text', reservation_id: 'uuid' });

/** Reservations read at once. */
const PAGE = 500;

interface OldReservation {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly reservation_id: string;
  readonly created_at: string;
}

/**
 * Releases reservations of writes that did not happen: the process died between the reservation and the commit, or could
 * not reach the billing database afterwards. Returns how many reservations were examined and released.
 *
 * A reservation exists until its usage event is counted, since one statement counts the event and deletes the
 * reservation. So a reservation is abandoned when it is older than any request, no unpublished event of any outbox names
 * it, and either no table of `owners` has its id (a request's id, a UUIDv7), or its time ({@link WRITTEN_MS}) is over.
 */
export async function releaseAbandoned(
  services: Pick<CallServices, 'crossTenant'>,
  owners: readonly FindExisting[],
  now: Date,
  goOn: () => boolean,
): Promise<{ examined: number; released: number }> {
  let examined = 0;
  let released = 0;
  let after: OldReservation | undefined;
  do {
    const page = await readOld(services.crossTenant.billing, now, after);
    if (page.length === 0) break;
    examined += page.length;
    const written = await findWritten(services.crossTenant, owners, page);
    const abandoned = page.filter((reservation) => isAbandoned(reservation, written, now));
    if (abandoned.length > 0) released += await giveBack(services.crossTenant.billing, abandoned, now);
    after = page.at(-1);
    if (page.length < PAGE) break;
  } while (goOn());
  return { examined, released };
}

function readOld(
  database: CrossTenantDatabase,
  now: Date,
  after: OldReservation | undefined,
): Promise<OldReservation[]> {
  return inBatch(database, (transaction) =>
    transaction.query<OldReservation>(
      `select distinct created_at, tenant_id, reservation_id from ops.usage_reservations
        where created_at <= $1 and (created_at, tenant_id, reservation_id) > ($2::timestamptz, $3::text, $4::uuid)
        order by created_at, tenant_id, reservation_id limit ${PAGE}`,
      [
        new Date(now.getTime() - YOUNG_MS),
        after?.created_at ?? '-infinity',
        after?.tenant_id ?? '',
        after?.reservation_id ?? '00000000-0000-0000-0000-000000000000',
      ],
      { prepare: false },
    ),
  );
}

/** What the databases have of some reservations: unpublished events and rows. */
interface Written {
  readonly unpublished: ReadonlySet<string>;
  readonly rows: ReadonlySet<string>;
}

async function findWritten(
  databases: CrossTenantDatabases,
  owners: readonly FindExisting[],
  reservations: readonly OldReservation[],
): Promise<Written> {
  // A reservation and the outbox entry of its write have the same instant: that of the call.
  const calls = reservations.map(({ tenant_id: tenantId, created_at }) => ({
    tenantId,
    at: new Date(created_at),
  }));
  // Outboxes first, then rows. A write's row and its outbox entry are one transaction: a write that commits between the two
  // reads is found by its row.
  const unpublished = await Promise.all(
    [databases.core, databases.billing, databases.analytics].map((database) =>
      findUnpublished(database, 'reservation_id', calls),
    ),
  );
  const refs = reservations.map(refOf);
  const existing = await Promise.all(owners.map((findExisting) => findExisting(databases.core, refs)));
  return {
    unpublished: new Set(
      unpublished.flat().map(({ tenantId, value }) => refKey({ tenant_id: tenantId, request_id: value })),
    ),
    rows: new Set(existing.flatMap((found) => [...found])),
  };
}

/** The request of a reservation: both have the same id. */
function refOf({
  tenant_id,
  reservation_id,
}: Pick<OldReservation, 'tenant_id' | 'reservation_id'>): RequestRef {
  return { tenant_id, request_id: reservation_id };
}

function isAbandoned(reservation: OldReservation, written: Written, now: Date): boolean {
  const id = refKey(refOf(reservation));
  if (written.unpublished.has(id)) return false;
  const ageMs = now.getTime() - Date.parse(reservation.created_at);
  if (written.rows.has(id)) return ageMs > WRITTEN_MS;
  const isRequestId = reservation.reservation_id.charAt(14) === '7';
  return isRequestId || ageMs > UNTRACED_MS;
}

/** Locks allowances in the same order as all other code, and without a join, as in `writeUsage`. */
async function giveBack(
  database: CrossTenantDatabase,
  reservations: readonly OldReservation[],
  now: Date,
): Promise<number> {
  const [row] = await database.query<{ released: number }>(
    `with asked as materialized (
       select * from ${RESERVATIONS.from('a', 3)}),
     held as materialized (
       select f.tenant_id, f.usage_type, f.reset_period from free_tier_usage f
        where f.user_id = '' and f.tenant_id = any($1::text[])
        order by f.tenant_id, f.usage_type, f.reset_period for update),
     gone as (
       delete from ops.usage_reservations r using asked a
        where r.tenant_id = a.tenant_id and r.reservation_id = a.reservation_id
          and (select count(*) from held) >= 0
       returning r.tenant_id, r.reservation_id, r.usage_type, r.amount),
     given_back as (
       update free_tier_usage f set reserved = greatest(0, f.reserved - g.amount), updated_at = $2
         from (select tenant_id, usage_type, sum(amount) as amount from gone group by tenant_id, usage_type) g
        where f.tenant_id = g.tenant_id and f.user_id = '' and f.usage_type = g.usage_type)
     select count(distinct (tenant_id, reservation_id)) as released from gone`,
    [
      [...new Set(reservations.map(({ tenant_id }) => tenant_id))],
      now,
      ...RESERVATIONS.parameters(reservations),
    ],
  );
  return row?.released ?? 0;
}
