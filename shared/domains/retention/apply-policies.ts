import { inBatch } from '../../platform/db/batch-transaction.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { log } from '../../platform/log/log.ts';
import { readRetentionSettings } from '../tenancy/retention-settings.ts';
import { daysKept, RETENTION_DAYS_DEFAULT } from './expiry.ts';
import type { ExpiringTable } from './expiring-table.ts';

/** Rows in one batch: well within a statement's ten seconds, even if each row moves to another partition. */
const BATCH_SIZE = 2_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** A policy that was changed since it was last applied. */
interface ChangedPolicy {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly policy_id: string;
  readonly data_type: string;
  readonly updated_at: string;
  /** Of the policy that is now active for this kind of data. */
  readonly active_days: number | null;
  readonly active_framework: string | null;
}

/** The result of applying policies. */
export interface AppliedPolicies {
  readonly applied: number;
  /** Rows with a changed expiry. */
  readonly changed: number;
  /** False if the time was over first. The next run starts an unfinished policy again; rows that are done need no change. */
  readonly finished: boolean;
}

/**
 * Applies policies that were made, changed or deactivated since the last run to existing rows: a row expires the policy's days
 * after its creation. For a policy without auto_delete, and for a deactivated one, the tenant's default days apply, as for new
 * rows. While a tenant's settings cannot be read, its rows are kept as long as any framework could require, and its policies are
 * applied later. In a partitioned table, rows with another retention than the platform's move to the partition of kept rows.
 */
export async function applyChangedPolicies(
  database: CrossTenantDatabase,
  tables: readonly ExpiringTable[],
  timeLeftMs: () => number,
): Promise<AppliedPolicies> {
  let changed = 0;
  let applied = 0;
  for (const policy of await findChanged(database)) {
    const rows = await applyPolicy(database, tables, policy, timeLeftMs);
    changed += rows.changed;
    if (!rows.finished) return { applied, changed, finished: false };
    if (rows.provisional) continue;
    // `updated_at` of the version that was applied: a policy that was changed meanwhile is newer, and is applied again.
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
    `select p.tenant_id, p.policy_id, p.data_type, p.updated_at, active.retention_days as active_days,
            active.compliance_framework as active_framework
       from data_retention_policies p
       left join data_retention_policies active
         on active.tenant_id = p.tenant_id and active.data_type = p.data_type and active.is_active and active.auto_delete
      where p.applied_at is null or p.applied_at < p.updated_at
      order by p.tenant_id, p.updated_at, p.policy_id`,
  );
}

interface Batches {
  readonly changed: number;
  readonly finished: boolean;
}

async function applyPolicy(
  database: CrossTenantDatabase,
  tables: readonly ExpiringTable[],
  policy: ChangedPolicy,
  timeLeftMs: () => number,
): Promise<Batches & { readonly provisional: boolean }> {
  const table = tables.find(({ dataType }) => dataType === policy.data_type);
  // Nothing deletes audit entries. A policy for them, stored before such policies were refused, changes nothing here.
  if (table === undefined) return { changed: 0, finished: true, provisional: false };
  const settings = await readRetentionSettings(database, policy.tenant_id);
  if (settings === undefined) log.error('tenant-settings-unreadable', { tenant_id: policy.tenant_id });
  const frameworks = settings && [...settings.frameworks, ...namedBy(policy)];
  const days = daysKept(policy.active_days ?? settings?.retention_days ?? null, frameworks);
  const statements = statementsFor(table, days);
  const rows = await applyInBatches(database, policy.tenant_id, days, statements, timeLeftMs);
  return { ...rows, provisional: settings === undefined };
}

function namedBy({ active_framework: framework }: ChangedPolicy): readonly string[] {
  return framework === null ? [] : [framework];
}

async function applyInBatches(
  database: CrossTenantDatabase,
  tenantId: string,
  retentionDays: number,
  statements: BatchStatements,
  timeLeftMs: () => number,
): Promise<Batches> {
  let changed = 0;
  let after: Position = { at: '-infinity', id: FIRST_ID };
  for (;;) {
    if (timeLeftMs() === 0) return { changed, finished: false };
    const batch = await inBatch(database, async (transaction) => {
      const from = [tenantId, after.id, BATCH_SIZE, ...(statements.partitioned ? [after.at] : [])];
      const page = await transaction.query<PageRow>(statements.page, from, UNPREPARED);
      const days = [...new Set(page.flatMap((row) => row.day ?? []))];
      const values = [retentionDays, ...KEYS.parameters(page), ...(statements.partitioned ? [days] : [])];
      const [row] =
        page.length === 0
          ? []
          : await transaction.query<{ changed: number }>(statements.change, values, UNPREPARED);
      return { changed: row?.changed ?? 0, last: page.at(-1) };
    });
    changed += batch.changed;
    if (batch.last === undefined) return { changed, finished: true };
    after = batch.last;
  }
}

/** Planned with its values, so that the planner knows the partitions. */
const UNPREPARED = { prepare: false };

interface Position {
  readonly at: string;
  readonly id: string;
}

interface PageRow extends Position {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly day: string | null;
}

const KEYS = recordset({ tenant_id: 'text', id: 'uuid' });

/**
 * A batch's two statements. One statement that waits for a row and chooses partitions at run time would crash the server, see
 * `writeUsage`.
 */
interface BatchStatements {
  /** `$1` tenant, `$2` the id of the last page's last row, `$3` the size, and for a partitioned table `$4` that row's time. */
  readonly page: string;
  /** `$1` days, the rows from `$2`, and for a partitioned table `$4` the partitions' days. */
  readonly change: string;
  readonly partitioned: boolean;
}

/** A day is 24 hours in every session's time zone. */
const EXPIRY = `created_at + make_interval(hours => 24 * $1::int)`;

function statementsFor({ table, idColumn, partitions }: ExpiringTable, days: number): BatchStatements {
  const moves = partitions !== undefined && days !== RETENTION_DAYS_DEFAULT;
  const kept = `'${partitions?.keptDay ?? ''}'::date`;
  const day = partitions?.column ?? '';
  const move = moves ? `, ${day} = ${kept}` : '';
  const differs = moves
    ? `(t.expires_at <> t.${EXPIRY} or t.${day} <> ${kept})`
    : `t.expires_at <> t.${EXPIRY}`;
  const columns = `tenant_id, ${idColumn} as id, created_at as at`;
  return {
    // In the order of the primary key, which every table has. A partitioned table is read in the order of time, which has an index, so
    // that a page's rows are in a few partitions.
    page:
      partitions === undefined
        ? `select ${columns}, null::date as day from ${table}
            where tenant_id = $1 and ${idColumn} > $2 order by ${idColumn} limit $3`
        : `select ${columns}, ${day} as day from ${table}
            where tenant_id = $1 and (created_at, ${idColumn}) > ($4::timestamptz, $2::uuid)
            order by created_at, ${idColumn} limit $3`,
    // Joined by the whole key: with the tenant as a constant, the planner would read all of the tenant's rows.
    change: `with changed as (
        update ${table} t set expires_at = t.${EXPIRY}${move} from ${KEYS.from('j', 2)}
         where t.tenant_id = j.tenant_id and t.${idColumn} = j.id
           ${partitions === undefined ? '' : `and t.${day} = any($4::date[])`} and ${differs}
        returning 1)
      select count(*) as changed from changed`,
    partitioned: partitions !== undefined,
  };
}
