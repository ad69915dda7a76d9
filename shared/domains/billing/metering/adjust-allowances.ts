import { addToOutbox } from '../../../platform/writes/outbox.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { newAllowances, changedAllowances, type StoredAllowance } from './allowance-changes.ts';
import { resetTenant } from './free-tier.ts';
import { openWindowsOf } from './open-windows.ts';
import { allowanceKey, allowancesOf, planOfTenant, type Queries } from './plan-of-tenant.ts';
import { raiseThresholds } from './thresholds.ts';

/**
 * The lock of a tenant's set of allowances. A batch of usage shares it, and an adjustment has it alone: so the ledger's sums,
 * of which a new period is made, have every event that was counted before, and all later ones see the new period.
 */
export const SHARE_ALLOWANCES = `
select pg_advisory_xact_lock_shared(hashtextextended('allowances:' || tenant_id, 0))
  from (select tenant_id from unnest($1::text[]) t (tenant_id) order by tenant_id) t`;
const LOCK_ALLOWANCES = `select pg_advisory_xact_lock(hashtextextended('allowances:' || $1, 0))`;

/**
 * Makes a tenant's allowances those of its plan, if they are not. Only reads where they are. A tenant without a quota and without a
 * subscription has none: it is on a plan that nobody sells.
 */
export async function ensureAllowances(
  database: CrossTenantDatabase,
  tenant: { readonly tenantId: string; readonly hasQuota: boolean },
  now: Date,
): Promise<void> {
  const { tenantId, hasQuota } = tenant;
  const changes = await findChanges(database, tenantId, now, '');
  if (changes === undefined || (!hasQuota && changes.isFree)) return;
  if (changes.isAdjusted) return;
  await database.transaction((transaction) => adjustAllowances(transaction, tenantId, now));
}

async function findChanges(database: Queries, tenantId: string, now: Date, locking: '' | 'for update') {
  const [current, rows] = await Promise.all([
    planOfTenant(database, tenantId),
    database.query<StoredAllowance>(
      `select tenant_id, usage_type, reset_period, current_usage, usage_limit, reported, mode, plan_id,
              coalesce(anchor_at, anchor_date::timestamp at time zone 'UTC') as anchor_at, last_reset_at, next_reset_at
         from free_tier_usage where tenant_id = $1 and user_id = ''
        order by usage_type, reset_period ${locking}`,
      [tenantId],
    ),
  ]);
  if (current === undefined) return undefined;
  const { plan, subscription } = current;
  const wanted = new Map(
    allowancesOf(plan)
      .filter(({ per }) => per === 'tenant')
      .map((allowance) => [allowanceKey(allowance), allowance]),
  );
  const changed = changedAllowances(rows, { plan, wanted, subscription }, now);
  const added = newAllowances(tenantId, rows, { plan, wanted, subscription }, now);
  return {
    plan,
    changed,
    added,
    isFree: subscription === undefined,
    isAdjusted: changed.length === 0 && added.length === 0,
  };
}

const KEY = { tenant_id: 'text', usage_type: 'text', reset_period: 'text' } as const;
const CHANGED = recordset({
  ...KEY,
  current_usage: 'numeric',
  usage_limit: 'numeric',
  reported: 'numeric',
  mode: 'text',
  plan_id: 'text',
  anchor_at: 'timestamptz',
  last_reset_at: 'timestamptz',
  next_reset_at: 'timestamptz',
});
const SPANS = recordset({ usage_type: 'text', start_at: 'timestamptz', end_at: 'timestamptz' });

/**
 * Makes a tenant's allowances those of its plan and its subscription, as the same transaction sees them. Call it after a change
 * of the subscription. Limits follow at once, and the running period's usage is kept. A type that the plan no longer limits is
 * counted and binds nobody. Where the subscription begins a new period, the old one ends there, and the new one has what was
 * used since. Safe to repeat.
 */
export async function adjustAllowances(transaction: Queries, tenantId: string, now: Date): Promise<void> {
  await transaction.query(LOCK_ALLOWANCES, [tenantId]);
  await resetTenant(transaction, tenantId, now);
  const changes = await findChanges(transaction, tenantId, now, 'for update');
  if (changes === undefined || changes.isAdjusted) return;
  const { plan, changed, added } = changes;
  // What was used under the old limits is charged by them.
  if (changed.some(({ from, cut }) => from.mode === 'metered' && !cut))
    await openWindowsOf(transaction, tenantId, now);
  await endPeriods(
    transaction,
    tenantId,
    changed.flatMap(({ from, to, cut }) => (cut ? [{ from, to }] : [])),
    now,
  );
  await transaction.query(
    `update free_tier_usage f
        set usage_limit = c.usage_limit, mode = c.mode, plan_id = c.plan_id, anchor_at = c.anchor_at,
            anchor_date = (c.anchor_at at time zone 'UTC')::date, next_reset_at = c.next_reset_at, updated_at = $1,
            version = f.version + 1
       from ${CHANGED.from('c', 2)}
      where f.tenant_id = c.tenant_id and f.user_id = '' and f.usage_type = c.usage_type and f.reset_period = c.reset_period`,
    [now, ...CHANGED.parameters(changed.map(({ to }) => to))],
  );
  await transaction.query(
    `insert into free_tier_usage (tenant_id, usage_type, reset_period, current_usage, usage_limit, mode, plan_id, anchor_at,
       anchor_date, last_reset_at, next_reset_at, created_at, updated_at)
     select n.tenant_id, n.usage_type, n.reset_period,
            coalesce((select sum(u.usage_amount) from usage_records u
                       where u.tenant_id = n.tenant_id and u.usage_type = n.usage_type
                         and u.occurred_at >= n.last_reset_at and u.occurred_at < n.next_reset_at), 0),
            n.usage_limit, n.mode, n.plan_id, n.anchor_at, (n.anchor_at at time zone 'UTC')::date, n.last_reset_at,
            n.next_reset_at, $1, $1
       from ${CHANGED.from('n', 2)}
     on conflict (tenant_id, user_id, usage_type, reset_period) do nothing`,
    [now, ...CHANGED.parameters(added)],
    { prepare: false },
  );
  await transaction.query(
    `update free_tier_usage set mode = 'none', updated_at = $2
      where tenant_id = $1 and user_id <> '' and plan_id <> $3 and mode <> 'none'`,
    [tenantId, now, plan.plan_id],
  );
  await tellReached(transaction, tenantId, now);
}

/** Ends running periods early, where the subscription begins a new one, and splits what was used between both. */
async function endPeriods(
  transaction: Queries,
  tenantId: string,
  cuts: readonly { readonly from: StoredAllowance; readonly to: StoredAllowance }[],
  now: Date,
): Promise<void> {
  if (cuts.length === 0) return;
  const spans = cuts.map(({ from, to }) => ({
    usage_type: from.usage_type,
    start_at: to.last_reset_at,
    end_at: to.next_reset_at,
  }));
  await transaction.query(
    `with since as materialized (
       select s.usage_type, s.start_at,
              coalesce((select sum(u.usage_amount) from usage_records u
                         where u.tenant_id = $1 and u.usage_type = s.usage_type
                           and u.occurred_at >= s.start_at and u.occurred_at < s.end_at), 0) as used
         from ${SPANS.from('s', 3)}),
     split as materialized (
       select f.*, s.start_at, s.used as since, greatest(0, f.current_usage - s.used) as before,
              least(f.reported, floor(greatest(0, greatest(0, f.current_usage - s.used) - f.usage_limit))) as reported_before
         from free_tier_usage f join since s using (usage_type)
        where f.tenant_id = $1 and f.user_id = '' and f.reset_period = 'monthly'),
     ended as (
       insert into ops.free_tier_periods
         (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit, mode, plan_id, reported)
       select tenant_id, user_id, usage_type, reset_period, last_reset_at, start_at, before, usage_limit, mode, plan_id,
              reported_before
         from split
       on conflict (tenant_id, user_id, usage_type, reset_period, period_start) do nothing)
     update free_tier_usage f
        set current_usage = s.since, reported = f.reported - s.reported_before, last_reset_at = s.start_at, updated_at = $2
       from split s
      where f.tenant_id = s.tenant_id and f.user_id = s.user_id and f.usage_type = s.usage_type
        and f.reset_period = s.reset_period`,
    [tenantId, now, ...SPANS.parameters(spans)],
    { prepare: false },
  );
}

/** A lower limit can be reached by what was used before. */
async function tellReached(transaction: Queries, tenantId: string, now: Date): Promise<void> {
  const rows = await transaction.query<StoredAllowance>(
    `select tenant_id, user_id, usage_type, reset_period, current_usage, usage_limit, mode, last_reset_at, next_reset_at
       from free_tier_usage where tenant_id = $1 and user_id = '' and mode <> 'none'`,
    [tenantId],
  );
  const entries = await raiseThresholds(
    transaction,
    rows.map((row) => ({
      ...row,
      user_id: '',
      before: 0,
      after: Number(row.current_usage),
      limit: Number(row.usage_limit),
    })),
    now,
  );
  await addToOutbox(transaction, entries);
}
