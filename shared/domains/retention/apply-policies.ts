import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { inBatch } from './batch-transaction.ts';
import { DATA_TYPES, KEPT_DAY, RETENTION_DAYS_DEFAULT, type DataType } from './expiry.ts';
import { EXPIRING_TABLES } from './expiring-tables.ts';

/** Rows in one batch: well within a statement's ten seconds, also where each moves to another partition. */
const BATCH_SIZE = 2_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** A policy that was changed since it was last applied, and what it now means. */
interface ChangedPolicy {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly policy_id: string;
  readonly data_type: string;
  readonly updated_at: string;
  readonly days: number;
}

/** What applying the policies came to. */
export interface AppliedPolicies {
  readonly applied: number;
  /** Rows whose expiry was changed. */
  readonly changed: number;
  /** False when the time ended first: a policy that was not done begins anew, and finds done rows done. */
  readonly finished: boolean;
}

/**
 * Applies policies that were made, changed or deactivated since the last time to what was recorded before: rows expire
 * so many days after their creation. A policy without auto_delete, and a deactivated one, leave the tenant's default, as
 * for new rows. Storage records that keep other than the platform's time move to the partition of kept rows.
 */
export async function applyChangedPolicies(
  database: CrossTenantDatabase,
  timeLeftMs: () => number,
): Promise<AppliedPolicies> {
  let changed = 0;
  let applied = 0;
  for (const policy of await findChanged(database)) {
    const rows = await applyPolicy(database, policy, timeLeftMs);
    changed += rows.changed;
    if (!rows.finished) return { applied, changed, finished: false };
    // What was changed again in the meantime is newer than what was applied, and comes again.
    await database.query(
      `update data_retention_policies set applied_at = $3 where tenant_id = $1 and policy_id = $2`,
      [policy.tenant_id, policy.policy_id, policy.updated_at],
    );
    applied += 1;
  }
  return { applied, changed, finished: true };
}

function findChanged(database: CrossTenantDatabase): Promise<ChangedPolicy[]> {
  return database.query<ChangedPolicy>(
    `select p.tenant_id, p.policy_id, p.data_type, p.updated_at,
            coalesce(active.retention_days, (c.config_data->>'retention_days')::int, $1) as days
       from data_retention_policies p
       left join data_retention_policies active
         on active.tenant_id = p.tenant_id and active.data_type = p.data_type and active.is_active and active.auto_delete
       left join tenant_configs c on c.tenant_id = p.tenant_id
      where p.applied_at is null or p.applied_at < p.updated_at
      order by p.tenant_id, p.updated_at, p.policy_id`,
    [RETENTION_DAYS_DEFAULT],
  );
}

interface Batches {
  readonly changed: number;
  readonly finished: boolean;
}

function applyPolicy(
  database: CrossTenantDatabase,
  policy: ChangedPolicy,
  timeLeftMs: () => number,
): Promise<Batches> {
  const dataType = DATA_TYPES.find((known) => known === policy.data_type);
  const statements = dataType === undefined ? undefined : statementsFor(dataType, policy.days);
  // Nothing deletes audit entries, so a policy for them changes nothing here.
  if (statements === undefined) return Promise.resolve({ changed: 0, finished: true });
  return applyInBatches(database, policy, statements, timeLeftMs);
}

async function applyInBatches(
  database: CrossTenantDatabase,
  policy: ChangedPolicy,
  statements: BatchStatements,
  timeLeftMs: () => number,
): Promise<Batches> {
  let changed = 0;
  let after = { at: '-infinity', id: FIRST_ID };
  for (;;) {
    if (timeLeftMs() === 0) return { changed, finished: false };
    const batch = await inBatch(database, async (transaction) => {
      const page = await transaction.query<PageRow>(
        statements.page,
        [policy.tenant_id, after.at, after.id, BATCH_SIZE],
        UNPREPARED,
      );
      const ids = page.map((row) => row.id);
      const days = [...new Set(page.flatMap((row) => row.partition_day ?? []))];
      const values = [policy.tenant_id, policy.days, ids, ...(statements.partitioned ? [days] : [])];
      const [row] =
        ids.length === 0
          ? []
          : await transaction.query<{ changed: number }>(statements.change, values, UNPREPARED);
      return { changed: row?.changed ?? 0, last: page.at(-1) };
    });
    changed += batch.changed;
    if (batch.last === undefined) return { changed, finished: true };
    after = { at: batch.last.at, id: batch.last.id };
  }
}

/** Planned with its values, by which it knows its partitions. */
const UNPREPARED = { prepare: false };

interface PageRow {
  readonly [column: string]: unknown;
  readonly at: string;
  readonly id: string;
  readonly partition_day?: string;
}

/**
 * A batch's two statements. One that both waited for a row and chose partitions as it runs would crash the server, see
 * `recordUsage`.
 */
interface BatchStatements {
  /** `$1` tenant, `$2` and `$3` the position, `$4` the size. */
  readonly page: string;
  /** `$1` tenant, `$2` days, `$3` ids, and where it is partitioned `$4` the partitions' days. */
  readonly change: string;
  readonly partitioned: boolean;
}

function statementsFor(dataType: DataType, days: number): BatchStatements | undefined {
  if (dataType === 'storage_records') return ofRecords(days !== RETENTION_DAYS_DEFAULT);
  const target = EXPIRING_TABLES.find((known) => known.dataType === dataType);
  return target === undefined ? undefined : ofRequests(target.table, target.idColumn);
}

/** A day is 24 hours, whatever the session's time zone. */
const EXPIRY = `created_at + make_interval(hours => 24 * $2::int)`;

function ofRequests(table: string, idColumn: string): BatchStatements {
  return {
    page: `select ${idColumn} as id, created_at as at from ${table}
            where tenant_id = $1 and (created_at, ${idColumn}) > ($2::timestamptz, $3::uuid)
            order by created_at, ${idColumn} limit $4`,
    change: `with changed as (
        update ${table} t set expires_at = t.${EXPIRY}
         where t.tenant_id = $1 and t.${idColumn} = any($3::uuid[]) and t.expires_at <> t.${EXPIRY}
        returning 1)
      select count(*) as changed from changed`,
    partitioned: false,
  };
}

function ofRecords(moves: boolean): BatchStatements {
  const kept = `'${KEPT_DAY}'::date`;
  const move = moves ? `, partition_day = ${kept}` : '';
  const differs = moves
    ? `(t.expires_at <> t.${EXPIRY} or t.partition_day <> ${kept})`
    : `t.expires_at <> t.${EXPIRY}`;
  return {
    page: `select id, partition_day, created_at as at from storage_records
            where tenant_id = $1 and (created_at, id) > ($2::timestamptz, $3::uuid)
            order by created_at, id limit $4`,
    change: `with changed as (
        update storage_records t set expires_at = t.${EXPIRY}${move}
         where t.tenant_id = $1 and t.id = any($3::uuid[]) and t.partition_day = any($4::date[]) and ${differs}
        returning 1)
      select count(*) as changed from changed`,
    partitioned: true,
  };
}
