import {
  json,
  type CrossTenantDatabase,
  type CrossTenantTransaction,
} from '../../platform/db/tenant-database.ts';
import type { ErasureKey } from './ledger.ts';

// A place is a table, or a container's blobs. Each database counts what is done in its own places, in the transaction that does it.

type Queries = Pick<CrossTenantTransaction, 'query'>;

/** What was done in a place. */
export interface PlaceCount {
  readonly [column: string]: unknown;
  readonly place: string;
  readonly done: number;
}

/** Opens a place: the database's functions delete nothing in a place that no erasure has opened. */
export async function openPlace(queries: Queries, of: ErasureKey, place: string): Promise<void> {
  await queries.query(
    `insert into ops.erasure_places (tenant_id, erasure_id, place) values ($1, $2, $3) on conflict do nothing`,
    [of.tenant_id, of.erasure_id, place],
  );
}

/** Counts what was done, for places that are not tables. */
export async function countDone(
  queries: Queries,
  of: ErasureKey,
  place: string,
  done: number,
): Promise<void> {
  await queries.query(
    `update ops.erasure_places set done = done + $4 where tenant_id = $1 and erasure_id = $2 and place = $3`,
    [of.tenant_id, of.erasure_id, place, done],
  );
}

/** Notes that nothing is left in a place. */
export async function finishPlace(queries: Queries, of: ErasureKey, place: string, now: Date): Promise<void> {
  await queries.query(
    `update ops.erasure_places set finished_at = coalesce(finished_at, $4)
      where tenant_id = $1 and erasure_id = $2 and place = $3`,
    [of.tenant_id, of.erasure_id, place, now],
  );
}

/** The places of a database where nothing is left. */
export async function finishedPlaces(
  database: CrossTenantDatabase,
  of: ErasureKey,
): Promise<ReadonlySet<string>> {
  const rows = await database.query<{ place: string }>(
    `select place from ops.erasure_places where tenant_id = $1 and erasure_id = $2 and finished_at is not null`,
    [of.tenant_id, of.erasure_id],
  );
  return new Set(rows.map(({ place }) => place));
}

/** Has every place of a database looked at again. */
export async function reopenPlaces(database: CrossTenantDatabase, of: ErasureKey): Promise<void> {
  await database.query(
    `update ops.erasure_places set finished_at = null where tenant_id = $1 and erasure_id = $2`,
    [of.tenant_id, of.erasure_id],
  );
}

/** What was done in each place of a database. */
export function readPlaces(database: CrossTenantDatabase, of: ErasureKey): Promise<PlaceCount[]> {
  return database.query<PlaceCount>(
    `select place, done from ops.erasure_places where tenant_id = $1 and erasure_id = $2 order by place`,
    [of.tenant_id, of.erasure_id],
  );
}

/** Deletes the next rows of a table, and counts them. 0: none is left. */
export async function eraseRows(
  database: CrossTenantDatabase,
  of: ErasureKey,
  table: string,
  size: number,
  before: Date | null = null,
): Promise<number> {
  const [row] = await database.query<{ gone: number }>(
    `select ops.erase_rows($1, $2, $3, $4, $5) as gone`,
    [of.tenant_id, of.erasure_id, table, size, before],
    { prepare: false },
  );
  return row?.gone ?? 0;
}

/** Replaces columns of the next rows that stay, and counts them. 0: none is left. */
export async function clearRows(
  database: CrossTenantDatabase,
  of: ErasureKey,
  table: string,
  cleared: Readonly<Record<string, string | null>>,
  size: number,
): Promise<number> {
  const [row] = await database.query<{ changed: number }>(
    `select ops.clear_rows($1, $2, $3, $4, $5) as changed`,
    [of.tenant_id, of.erasure_id, table, json(cleared), size],
    { prepare: false },
  );
  return row?.changed ?? 0;
}

/** What stands instead of a person's names in a column: nothing, because the rows go, or their pseudonyms. */
export interface PersonChange {
  readonly table: string;
  readonly column: string;
  readonly names: readonly string[] | Readonly<Record<string, string>>;
  /** The pseudonym in columns with ids. */
  readonly asId: string;
}

/** Deletes or changes the next rows that name a person in a column, and counts them. 0: none is left. */
export async function erasePerson(
  database: CrossTenantDatabase,
  of: ErasureKey,
  { table, column, names, asId }: PersonChange,
  size: number,
): Promise<number> {
  const [row] = await database.query<{ done: number }>(
    `select ops.erase_person($1, $2, $3, $4, $5, $6, $7) as done`,
    [of.tenant_id, of.erasure_id, table, column, json(names), asId, size],
    { prepare: false },
  );
  return row?.done ?? 0;
}
