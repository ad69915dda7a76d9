import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Call } from '../../../platform/call/call.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { hasQuota } from './quota-reservation.ts';
import { ensureAllowances, resetDueAllowances } from './free-tier.ts';
import { liveSql } from '../subscriptions/live-states.ts';
import { calendarMonth } from './periods.ts';
import type { UsageReport } from './schemas.ts';

type ReportedItem = UsageReport['items'][number];

/** A type's usage as it is stored; `remaining` is computed. */
type UsageItem = Omit<ReportedItem, 'remaining'>;

/** The calling tenant's usage in the running period, by type, with its plan's limits. */
export async function readUsage(call: Call): Promise<Reply<200, UsageReport>> {
  const billing = call.databases.billing;
  if (hasQuota(call)) await beginPeriods(call);
  const items = await billing.transaction(async (transaction) => {
    const allowances = hasQuota(call) ? await readAllowances(transaction) : [];
    const metered = await readMetered(transaction, call);
    const known = new Set(allowances.map((item) => item.usage_type));
    return [...allowances, ...metered.filter((item) => !known.has(item.usage_type))];
  });
  return ok({
    plan_id: call.context.planId,
    items: items
      .map((item): ReportedItem => ({
        usage_type: item.usage_type,
        used: item.used,
        limit: item.limit,
        remaining: item.limit === null ? null : Math.max(0, item.limit - item.used),
        period_start: item.period_start,
        resets_at: item.resets_at,
      }))
      .sort((left, right) => left.usage_type.localeCompare(right.usage_type)),
  });
}

/** Makes missing allowances and resets due ones: the timer may not have run yet. */
async function beginPeriods(call: Call): Promise<void> {
  const tenantId = call.principal.tenantId;
  // With the cross-tenant role (`comply_jobs`): the role of requests may not insert allowances or ended periods.
  const { billing } = call.services.crossTenant;
  await ensureAllowances(billing, tenantId, call.now);
  await resetDueAllowances(billing, call.now, { tenantId });
}

function readAllowances(transaction: TenantTransaction): Promise<UsageItem[]> {
  return transaction.query<UsageItem>(
    `select usage_type, (current_usage + reserved)::float8 as used, usage_limit::float8 as limit,
            last_reset_at as period_start, next_reset_at as resets_at
       from free_tier_usage where tenant_id = $1 and user_id = ''`,
    [transaction.tenantId],
  );
}

/** The ledger's sums for the live subscription's period or, without one, the calendar month, with a paid plan's limits. */
async function readMetered(transaction: TenantTransaction, call: Call): Promise<UsageItem[]> {
  const month = calendarMonth(call.now);
  const [period] = await transaction.query<{ starts: string; ends: string; limits: Record<string, number> }>(
    `select coalesce(s.current_period_start, $3) as starts, coalesce(s.current_period_end, $4) as ends,
            coalesce(p.limits, '{}') as limits
       from (values (1)) one
       left join user_subscriptions s
         on s.tenant_id = $1 and ${liveSql('s')}
        and s.current_period_start <= $2 and s.current_period_end > $2
       left join billing_plans p on p.plan_id = $5`,
    [transaction.tenantId, call.now, month.start, month.end, call.context.planId],
  );
  if (period === undefined) return [];
  const used = await transaction.query<{ usage_type: string; used: number }>(
    `select usage_type, sum(usage_amount)::float8 as used from usage_records
      where tenant_id = $1 and occurred_at >= $2 and occurred_at < $3
      group by usage_type`,
    [transaction.tenantId, period.starts, period.ends],
    { prepare: false },
  );
  const amounts = new Map(used.map((row) => [row.usage_type, row.used]));
  // Own properties only: a usage type may be named `constructor`.
  const limits = new Map(hasQuota(call) ? [] : Object.entries(period.limits));
  const types = new Set([...limits.keys(), ...amounts.keys()]);
  return [...types].map((usageType): UsageItem => ({
    usage_type: usageType,
    used: amounts.get(usageType) ?? 0,
    limit: limits.get(usageType) ?? null,
    period_start: period.starts,
    resets_at: period.ends,
  }));
}
