import { refKey, type FindExisting, type RequestRef } from '../../platform/db/find-existing.ts';
import { inBatch } from '../../platform/db/batch-transaction.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { CallServices, CrossTenantDatabases } from '../../platform/call/call.ts';
import { DAY_MS, MINUTE_MS } from '../../platform/time/clock.ts';
import { findUnpublished } from '../../platform/writes/outbox.ts';

/** Longer than any request can run: the host ends a function after 10 minutes, the load balancer answers for it after 230 s. */
const YOUNG_MS = 15 * MINUTE_MS;

/**
 * How long a reservation is kept whose write left a row: its usage event may wait in a queue, in quarantine or among dead
 * letters. After that it is given back; should the event still come, it counts in the period of its own time.
 */
const RECORDED_MS = 7 * DAY_MS;

/**
 * The same for a write that leaves no row of its reservation's id (its id is random, not a request's): once its event
 * left the outbox, nothing tells a write that happened from one that did not. A day outlasts any ordinary backlog.
 */
const UNTRACED_MS = DAY_MS;

const RESERVATIONS = recordset({ tenant_id: 'text', reservation_id: 'uuid' });

/** Reservations looked at in one go. */
const PAGE = 500;

interface OldReservation {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly reservation_id: string;
  readonly created_at: string;
}

/**
 * Gives back what was reserved for writes that never happened: the process died between the reservation and the
 * commit, or could not reach the billing database afterwards. Answers how many reservations were looked at and given back.
 *
 * A reservation still stands while its usage event is on the way, since counting the event and taking the reservation
 * away is one statement. So one is abandoned when it is older than any request, no unpublished event of any outbox
 * carries it, and either no row of `owners` has its id (a request's id, a UUIDv7), or what there is has been silent for
 * too long.
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
    const recorded = await findRecorded(services.crossTenant, owners, page);
    const abandoned = page.filter((reservation) => isAbandoned(reservation, recorded, now));
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

/** What the databases know of some reservations. */
interface Recorded {
  readonly unpublished: ReadonlySet<string>;
  readonly rows: ReadonlySet<string>;
}

async function findRecorded(
  databases: CrossTenantDatabases,
  owners: readonly FindExisting[],
  reservations: readonly OldReservation[],
): Promise<Recorded> {
  // Both bear the instant of the call: what it has reserved, and the entry of what it has written.
  const calls = reservations.map(({ tenant_id: tenantId, created_at }) => ({
    tenantId,
    at: new Date(created_at),
  }));
  // The rows are looked up after the outboxes, and a write's row and its outbox entry are one transaction: a write that
  // commits in between has its row.
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

/** The request that a reservation was made for, if it has one: they have one id. */
function refOf({
  tenant_id,
  reservation_id,
}: Pick<OldReservation, 'tenant_id' | 'reservation_id'>): RequestRef {
  return { tenant_id, request_id: reservation_id };
}

function isAbandoned(reservation: OldReservation, recorded: Recorded, now: Date): boolean {
  const id = refKey(refOf(reservation));
  if (recorded.unpublished.has(id)) return false;
  const ageMs = now.getTime() - Date.parse(reservation.created_at);
  if (recorded.rows.has(id)) return ageMs > RECORDED_MS;
  const isRequestId = reservation.reservation_id.charAt(14) === '7';
  return isRequestId || ageMs > UNTRACED_MS;
}

/** Rows of the allowances are locked in the order that everybody locks them in, and without a join, as in `recordUsage`. */
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
