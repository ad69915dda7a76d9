import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
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

interface JudgedRow {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly id: string;
  readonly at: string;
  readonly fate: 'expired' | 'on_hold' | 'not_archived' | 'retained' | 'needed';
}

interface JudgedRecord extends JudgedRow {
  readonly partition_day: string;
}

/** `$1` the cutoff, `$2` and `$3` the position, `$4` the size. */
const JUDGE_RECORDS = `with page as materialized (
    select tenant_id, id, partition_day, expires_at, created_at, source_id, archived_at from storage_records
     where expires_at <= $1 and (expires_at, id) > ($2::timestamptz, $3::uuid)
     order by expires_at, id limit $4)
  select t.tenant_id, t.id, t.partition_day, t.expires_at as at, ${RECORD_FATE_SQL} as fate from page t
   order by t.expires_at, t.id`;

/** `$1` the rows, `$2` the days of their partitions, `$3` the cutoff. */
const DELETE_RECORDS = `with gone as (
    delete from storage_records r using json_to_recordset($1::text::json) as j (tenant_id text, id uuid)
     where r.tenant_id = j.tenant_id and r.id = j.id and r.partition_day = any($2::date[])
       and r.archived_at is not null and r.expires_at <= $3
    returning 1)
  select count(*) as deleted from gone`;

function judgeText(of: ExpiringTable): string {
  const { table, idColumn } = of;
  return `with page as materialized (
      select * from ${table} where expires_at <= $1 and (expires_at, ${idColumn}) > ($2::timestamptz, $3::uuid)
       order by expires_at, ${idColumn} limit $4)
    select t.tenant_id, t.${idColumn} as id, t.expires_at as at, ${fateSql(of)} as fate from page t
     order by t.expires_at, t.${idColumn}`;
}

/** `$1` the rows, `$2` the cutoff. */
function deleteText({ table, idColumn, companion }: ExpiringTable): string {
  const along =
    companion === undefined
      ? ''
      : `, along as (delete from ${companion} c using gone where c.tenant_id = gone.tenant_id and c.${idColumn} = gone.id)`;
  return `with gone as (
      delete from ${table} r using json_to_recordset($1::text::json) as j (tenant_id text, id uuid)
       where r.tenant_id = j.tenant_id and r.${idColumn} = j.id and r.expires_at <= $2
      returning r.tenant_id, r.${idColumn} as id)
    ${along}
    select count(*) as deleted from gone`;
}

/**
 * Judges a batch's rows, then deletes by their keys. Two statements: one that both waited for a row and chose partitions
 * as it runs would crash the server, see `recordUsage`.
 */
async function deleteBatch<T extends JudgedRow>(
  database: CrossTenantDatabase,
  judge: (transaction: CrossTenantTransaction) => Promise<T[]>,
  remove: (transaction: CrossTenantTransaction, rows: readonly T[]) => Promise<{ deleted: number }[]>,
): Promise<ExpiredBatch> {
  return inDeletingBatch(database, async (transaction) => {
    const judged = await judge(transaction);
    const countOf = (...fates: JudgedRow['fate'][]): number =>
      judged.filter(({ fate }) => fates.includes(fate)).length;
    const expired = judged.filter(({ fate }) => fate === 'expired');
    const [gone] = expired.length === 0 ? [] : await remove(transaction, expired);
    const last = judged.at(-1);
    return {
      examined: judged.length,
      deleted: gone?.deleted ?? 0,
      onHold: countOf('on_hold'),
      notArchived: countOf('not_archived'),
      retained: countOf('retained', 'needed'),
      next: last === undefined ? undefined : { at: last.at, id: last.id },
    };
  });
}

function keysOf(rows: readonly JudgedRow[]): string {
  return JSON.stringify(rows.map(({ tenant_id, id }) => ({ tenant_id, id })));
}

/** Planned with its values, by which it knows its partitions. */
const UNPREPARED = { prepare: false };

/**
 * Deletes one batch of storage records past the cutoff, whatever partition they lie in: those that are archived, under no
 * hold and not kept until deleted by hand.
 */
export function deleteExpiredRecords(
  database: CrossTenantDatabase,
  cutoff: Date,
  after: ExpiryPosition,
): Promise<ExpiredBatch> {
  return deleteBatch<JudgedRecord>(
    database,
    (transaction) => transaction.query(JUDGE_RECORDS, [cutoff, after.at, after.id, BATCH_SIZE], UNPREPARED),
    (transaction, rows) => {
      const days = [...new Set(rows.map((row) => row.partition_day))];
      return transaction.query(DELETE_RECORDS, [keysOf(rows), days, cutoff], UNPREPARED);
    },
  );
}

/** Deletes one batch of a table's rows past the cutoff, with what belongs to them. */
export function deleteExpiredRequests(
  database: CrossTenantDatabase,
  of: ExpiringTable,
  cutoff: Date,
  after: ExpiryPosition,
): Promise<ExpiredBatch> {
  return deleteBatch(
    database,
    (transaction) =>
      transaction.query<JudgedRow>(judgeText(of), [cutoff, after.at, after.id, BATCH_SIZE], UNPREPARED),
    (transaction, rows) => transaction.query(deleteText(of), [keysOf(rows), cutoff], UNPREPARED),
  );
}
