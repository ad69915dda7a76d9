import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { inBatch } from '../../retention/batch-transaction.ts';
import { KEPT_DAY } from '../../retention/expiry.ts';
import { heldSql, retainedSql, scopeBound, scopeCovers, scopeLimits } from '../../retention/holds.ts';

/** Kept rows moved in one transaction: each is a deletion and an insertion with six indexes, about 0.1 ms. */
export const MOVE_BATCH = 2_000;

/**
 * Moves a day's rows that must stay to the partition of kept rows, in batches: what is under a hold, not archived, kept until
 * deleted by hand, or expires later. What it costs grows with those rows, not with the ones that go.
 */
export async function moveKeptRows(
  database: CrossTenantDatabase,
  day: string,
  cutoff: Date,
  timeLeftMs: () => number,
): Promise<{ moved: number; finished: boolean }> {
  let moved = 0;
  for (;;) {
    if (timeLeftMs() === 0) return { moved, finished: false };
    const batch = await inBatch(database, (transaction) => moveKeptBatch(transaction, day, cutoff));
    moved += batch;
    if (batch === 0) return { moved, finished: true };
  }
}

/**
 * Each of these finds kept rows of one partition (`$1`) from the small side, through an index: from the open holds, the
 * policies, the unarchived rows, and the rows that expire after `$3`. `$2` is the most that it may find.
 */
const KEPT_ROWS: readonly { readonly sql: string; readonly usesCutoff: boolean }[] = [
  {
    usesCutoff: false,
    sql: `select r.tenant_id, r.id from legal_holds h
            join lateral (
              select r.tenant_id, r.id from storage_records r
               where r.tenant_id = h.tenant_id and r.partition_day = $1
                 and r.created_at >= ${scopeBound('created_from', 'h.scope', '-infinity')}
                 and r.created_at <= ${scopeBound('created_to', 'h.scope', 'infinity')}
               limit $2) r on true
           where h.released_at is null and ${scopeCovers(['storage_records'], 'h.scope')}
             and not ${scopeLimits('record_ids', 'h.scope')}
           limit $2`,
  },
  ...['r.id', 'r.source_id'].map((column) => ({
    usesCutoff: false,
    sql: `select r.tenant_id, r.id from legal_holds h
            join lateral (
              select e.value::uuid as id from jsonb_array_elements_text(
                case when ${scopeLimits('record_ids', 'h.scope')} then h.scope->'record_ids' else '[]' end) e
               where pg_input_is_valid(e.value, 'uuid')) named on true
            join lateral (
              select r.tenant_id, r.id from storage_records r
               where r.tenant_id = h.tenant_id and r.partition_day = $1 and ${column} = named.id
                 and ${heldSql({
                   tenantId: 'r.tenant_id',
                   dataTypes: ['storage_records'],
                   ids: ['r.id::text', 'r.source_id::text'],
                   createdAt: 'r.created_at',
                 })}) r on true
           where h.released_at is null and ${scopeCovers(['storage_records'], 'h.scope')}
           limit $2`,
  })),
  {
    usesCutoff: false,
    sql: `select r.tenant_id, r.id from tenants t
            join lateral (
              select r.tenant_id, r.id from storage_records r
               where r.tenant_id = t.tenant_id and r.partition_day = $1 limit $2) r on true
           where ${retainedSql('t.tenant_id', 'storage_records')} limit $2`,
  },
  {
    usesCutoff: false,
    sql: `select tenant_id, id from storage_records where partition_day = $1 and archived_at is null limit $2`,
  },
  {
    usesCutoff: true,
    sql: `select tenant_id, id from storage_records where partition_day = $1 and expires_at > $3 limit $2`,
  },
];

/** Moves one batch of them; fewer than {@link MOVE_BATCH} are the last. */
export async function moveKeptBatch(
  transaction: CrossTenantTransaction,
  day: string,
  cutoff: Date,
): Promise<number> {
  let moved = 0;
  for (const kept of KEPT_ROWS) {
    const rows = await transaction.query(
      `with kept as materialized (select distinct tenant_id, id from (${kept.sql}) k)
       update storage_records r set partition_day = '${KEPT_DAY}' from kept
        where r.tenant_id = kept.tenant_id and r.id = kept.id and r.partition_day = $1
       returning 1`,
      [day, MOVE_BATCH, ...(kept.usesCutoff ? [cutoff] : [])],
      { prepare: false },
    );
    moved += rows.length;
    if (moved >= MOVE_BATCH) break;
  }
  return moved;
}
