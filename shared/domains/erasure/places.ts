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

/**
 * Notes that nothing is left in a place. It keeps the first time; a later pass (`again`) notes its own, so that it knows what it has done.
 */
export async function finishPlace(
  queries: Queries,
  of: ErasureKey,
  place: string,
  now: Date,
  again = false,
): Promise<void> {
  await queries.query(
    `update ops.erasure_places set finished_at = case when $5 then $4 else coalesce(finished_at, $4) end
      where tenant_id = $1 and erasure_id = $2 and place = $3`,
    [of.tenant_id, of.erasure_id, place, now, again],
  );
}

/** The places of a database where nothing is left; with `since`, those that were finished then or later. */
export async function finishedPlaces(
  database: CrossTenantDatabase,
  of: ErasureKey,
  since: Date | null = null,
): Promise<ReadonlySet<string>> {
  const rows = await database.query<{ place: string }>(
    `select place from ops.erasure_places where tenant_id = $1 and erasure_id = $2
        and finished_at >= coalesce($3::timestamptz, '-infinity')`,
    [of.tenant_id, of.erasure_id, since],
  );
  return new Set(rows.map(({ place }) => place));
}

/** Has every place of a database looked at again, from its first row. */
export async function reopenPlaces(database: CrossTenantDatabase, of: ErasureKey): Promise<void> {
  await database.query(
    `update ops.erasure_places set finished_at = null, position = null where tenant_id = $1 and erasure_id = $2`,
    [of.tenant_id, of.erasure_id],
  );
}

/** Where the walk over a place is. Locks it: one run at a time works from it. */
export async function lockPlace(
  transaction: CrossTenantTransaction,
  of: ErasureKey,
  place: string,
): Promise<unknown> {
  const [row] = await transaction.query<{ position: unknown }>(
    `select position from ops.erasure_places where tenant_id = $1 and erasure_id = $2 and place = $3 for update`,
    [of.tenant_id, of.erasure_id, place],
  );
  return row?.position ?? undefined;
}

/** Saves where the walk over a place is; null at its end. */
export async function savePlace(
  queries: Queries,
  of: ErasureKey,
  place: string,
  position: unknown,
): Promise<void> {
  await queries.query(
    `update ops.erasure_places set position = $4 where tenant_id = $1 and erasure_id = $2 and place = $3`,
    [of.tenant_id, of.erasure_id, place, position === null ? null : json(position)],
  );
}

/** What was done in each place of a database. */
export function readPlaces(database: CrossTenantDatabase, of: ErasureKey): Promise<PlaceCount[]> {
  return database.query<PlaceCount>(
    `select place, done from ops.erasure_places where tenant_id = $1 and erasure_id = $2 order by place`,
    [of.tenant_id, of.erasure_id],
  );
}

// A batch looks at the next `looks` rows of the tenant, and the one after it goes on behind them. The database notes where that is.

/** What a batch did, and whether it came to the end of its table. */
export interface PageDone {
  readonly [column: string]: unknown;
  readonly done: number;
  readonly is_over: boolean;
}

function pageOf([page]: readonly PageDone[]): PageDone {
  if (page === undefined) throw new Error('a batch has no outcome');
  return page;
}

/** Deletes the next rows of a table, and counts them. */
export async function eraseRows(
  queries: Queries,
  of: ErasureKey,
  table: string,
  looks: number,
  before: Date | null = null,
): Promise<PageDone> {
  return pageOf(
    await queries.query<PageDone>(
      `select done, is_over from ops.erase_rows_page($1, $2, $3, $4, $5)`,
      [of.tenant_id, of.erasure_id, table, looks, before],
      { prepare: false },
    ),
  );
}

/** Replaces columns of the next rows that stay, and counts the rows that had another value. */
export async function clearRows(
  queries: Queries,
  of: ErasureKey,
  table: string,
  cleared: Readonly<Record<string, string | null>>,
  looks: number,
): Promise<PageDone> {
  return pageOf(
    await queries.query<PageDone>(
      `select done, is_over from ops.clear_rows_page($1, $2, $3, $4, $5)`,
      [of.tenant_id, of.erasure_id, table, json(cleared), looks],
      { prepare: false },
    ),
  );
}

/** What stands instead of a person's names in a column: nothing, because the rows go, or their pseudonyms. */
export interface PersonChange {
  readonly table: string;
  readonly column: string;
  readonly names: readonly string[] | Readonly<Record<string, string>>;
  /** The pseudonym in columns with ids. */
  readonly asId: string;
}

/** Looks at the next rows of a table, and deletes or changes those that name a person in a column. Counts these. */
export async function erasePerson(
  queries: Queries,
  of: ErasureKey,
  { table, column, names, asId }: PersonChange,
  looks: number,
): Promise<PageDone> {
  return pageOf(
    await queries.query<PageDone>(
      `select done, is_over from ops.erase_person_page($1, $2, $3, $4, $5, $6, $7)`,
      [of.tenant_id, of.erasure_id, table, column, json(names), asId, looks],
      { prepare: false },
    ),
  );
}
