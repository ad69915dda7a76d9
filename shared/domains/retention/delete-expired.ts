import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { inDeletingBatch } from './deleting-batch.ts';
import { fateSql, type ExpiringTable, type Fate } from './expiring-table.ts';

/** Rows examined in one batch: at most a second's work, even if each row has companion rows. */
const BATCH_SIZE = 1_000;

/** The position of a walk over a table's expired rows. */
export interface ExpiryPosition {
  /** RFC 3339 with microseconds, or '-infinity' before the first row. */
  readonly at: string;
  readonly id: string;
}

/** Before every row. */
export const WALK_START: ExpiryPosition = { at: '-infinity', id: '00000000-0000-0000-0000-000000000000' };

/** The result of one batch. */
export interface ExpiredBatch {
  readonly examined: number;
  readonly deleted: number;
  readonly onHold: number;
  readonly notArchived: number;
  /** Kept until a manual deletion, or needed by rows that stay. */
  readonly retained: number;
  /** Undefined if no row is left. */
  readonly next: ExpiryPosition | undefined;
}

interface JudgedRow {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly id: string;
  readonly at: string;
  readonly fate: Fate;
  readonly day: string | null;
}

const KEYS = recordset({ tenant_id: 'text', id: 'uuid' });

/** `$1` the cutoff, `$2` and `$3` the position, `$4` the size. */
function judgeText(of: ExpiringTable): string {
  const { table, idColumn, partitions } = of;
  return `with page as materialized (
      select * from ${table} where expires_at <= $1 and (expires_at, ${idColumn}) > ($2::timestamptz, $3::uuid)
       order by expires_at, ${idColumn} limit $4)
    select t.tenant_id, t.${idColumn} as id, t.expires_at as at, ${fateSql(of)} as fate,
           ${partitions === undefined ? 'null::date' : `t.${partitions.column}`} as day
      from page t order by t.expires_at, t.${idColumn}`;
}

/** `$1` the cutoff, the rows from `$2`, and for a partitioned table `$4` their days. */
function deleteText({ table, idColumn, companion, partitions }: ExpiringTable): string {
  const along =
    companion === undefined
      ? ''
      : `, along as (delete from ${companion} c using gone where c.tenant_id = gone.tenant_id and c.${idColumn} = gone.id)`;
  const days = partitions === undefined ? '' : `and r.${partitions.column} = any($4::date[])`;
  return `with gone as (
      delete from ${table} r using ${KEYS.from('j', 2)}
       where r.tenant_id = j.tenant_id and r.${idColumn} = j.id and r.expires_at <= $1 ${days}
      returning r.tenant_id, r.${idColumn} as id)
    ${along}
    select count(*) as deleted from gone`;
}

/** Planned with its values, so that the planner knows the partitions. */
const UNPREPARED = { prepare: false };

/**
 * Deletes one batch of a table's expired rows that nothing keeps, with their companion rows. One statement judges the rows, a
 * second one deletes by key: one statement that waits for a row and chooses partitions at run time would crash the server, see
 * `writeUsage`.
 */
export function deleteExpired(
  database: CrossTenantDatabase,
  of: ExpiringTable,
  cutoff: Date,
  after: ExpiryPosition,
): Promise<ExpiredBatch> {
  return inDeletingBatch(database, async (transaction) => {
    const judged = await transaction.query<JudgedRow>(
      judgeText(of),
      [cutoff, after.at, after.id, BATCH_SIZE],
      UNPREPARED,
    );
    const countOf = (...fates: Fate[]): number => judged.filter(({ fate }) => fates.includes(fate)).length;
    const expired = judged.filter(({ fate }) => fate === 'expired');
    const days = [...new Set(expired.flatMap(({ day }) => day ?? []))];
    const values = [cutoff, ...KEYS.parameters(expired), ...(of.partitions === undefined ? [] : [days])];
    const [gone] =
      expired.length === 0
        ? []
        : await transaction.query<{ deleted: number }>(deleteText(of), values, UNPREPARED);
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
