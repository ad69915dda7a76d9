import type { JobsDatabase } from '../db/tenant-database.ts';
import { inDeletingBatch } from './batch-transaction.ts';
import { fateSql, RECORD_FATE_SQL, type ExpiringTable } from './expiring-tables.ts';

/** Rows looked at in one batch: a second's work at the most, also where each takes others along. */
const BATCH_SIZE = 1_000;

/** How far a walk over a table's expired rows has come. */
export interface ExpiryPosition {
  /** RFC 3339 with microseconds, or '-infinity' before the first row. */
  readonly at: string;
  readonly id: string;
}

/** Before every row. */
export const WALK_START: ExpiryPosition = { at: '-infinity', id: '00000000-0000-0000-0000-000000000000' };

/** What one batch came to. */
export interface ExpiredBatch {
  readonly examined: number;
  readonly deleted: number;
  readonly onHold: number;
  readonly notArchived: number;
  /** Kept until deleted by hand, or needed by what stays. */
  readonly retained: number;
  /** Undefined where no row was left. */
  readonly next: ExpiryPosition | undefined;
}

interface BatchRow {
  readonly [column: string]: unknown;
  readonly examined: number;
  readonly deleted: number;
  readonly on_hold: number;
  readonly not_archived: number;
  readonly retained: number;
  readonly at: string | null;
  readonly id: string | null;
}

/** `$1` the cutoff, `$2` and `$3` the position, `$4` the size; `judged` has fate, expires_at and id. */
const TALLY = `select (select count(*) from judged)::int as examined, (select count(*) from gone)::int as deleted,
    (select count(*) from judged where fate = 'on_hold')::int as on_hold,
    (select count(*) from judged where fate = 'not_archived')::int as not_archived,
    (select count(*) from judged where fate in ('retained', 'needed'))::int as retained, last.at, last.id
  from (select 1) one left join lateral (
    select expires_at as at, id from judged order by expires_at desc, id desc limit 1) last on true`;

const RECORDS_TEXT = `with page as materialized (
    select tenant_id, id, partition_day, expires_at, created_at, source_id, archived_at from storage_records
     where expires_at <= $1 and (expires_at, id) > ($2::timestamptz, $3::uuid)
     order by expires_at, id limit $4),
  judged as materialized (select t.*, ${RECORD_FATE_SQL} as fate from page t),
  gone as (
    delete from storage_records r using judged j
     where j.fate = 'expired' and r.tenant_id = j.tenant_id and r.id = j.id and r.partition_day = j.partition_day
       and r.archived_at is not null and r.expires_at <= $1
    returning 1)
  ${TALLY}`;

function requestsText(of: ExpiringTable): string {
  const { table, idColumn, companion } = of;
  const along =
    companion === undefined
      ? ''
      : `, along as (delete from ${companion} c using gone where c.tenant_id = gone.tenant_id and c.${idColumn} = gone.id)`;
  return `with page as materialized (
      select * from ${table} where expires_at <= $1 and (expires_at, ${idColumn}) > ($2::timestamptz, $3::uuid)
       order by expires_at, ${idColumn} limit $4),
    judged as materialized (
      select t.tenant_id, t.${idColumn} as id, t.expires_at, ${fateSql(of)} as fate from page t),
    gone as (
      delete from ${table} r using judged j
       where j.fate = 'expired' and r.tenant_id = j.tenant_id and r.${idColumn} = j.id and r.expires_at <= $1
      returning r.tenant_id, r.${idColumn} as id)
    ${along}
    ${TALLY}`;
}

async function deleteBatch(
  database: JobsDatabase,
  text: string,
  cutoff: Date,
  after: ExpiryPosition,
): Promise<ExpiredBatch> {
  const [row] = await inDeletingBatch(database, (transaction) =>
    transaction.query<BatchRow>(text, [cutoff, after.at, after.id, BATCH_SIZE], { prepare: false }),
  );
  if (row === undefined) throw new Error('a batch has no tally');
  return {
    examined: row.examined,
    deleted: row.deleted,
    onHold: row.on_hold,
    notArchived: row.not_archived,
    retained: row.retained,
    next: row.at === null || row.id === null ? undefined : { at: row.at, id: row.id },
  };
}

/**
 * Deletes one batch of storage records past the cutoff, whatever partition they lie in: those that are archived, under no
 * hold and not kept until deleted by hand.
 */
export function deleteExpiredRecords(
  database: JobsDatabase,
  cutoff: Date,
  after: ExpiryPosition,
): Promise<ExpiredBatch> {
  return deleteBatch(database, RECORDS_TEXT, cutoff, after);
}

/** Deletes one batch of a table's rows past the cutoff, with what belongs to them. */
export function deleteExpiredRequests(
  database: JobsDatabase,
  of: ExpiringTable,
  cutoff: Date,
  after: ExpiryPosition,
): Promise<ExpiredBatch> {
  return deleteBatch(database, requestsText(of), cutoff, after);
}
