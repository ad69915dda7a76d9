import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Call } from '../../../platform/call/call.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { minorToMajor } from '../money.ts';
import { limitMode, type LimitMode, type ResetPeriod } from '../plans/plan.ts';
import { ensureAllowances } from './adjust-allowances.ts';
import { resetDueAllowances } from './free-tier.ts';
import { usagePeriod } from './periods.ts';
import { planOfTenant, type PlanOfTenant } from './plan-of-tenant.ts';
import type { UsageReport } from './schemas.ts';

type ReportedItem = UsageReport['items'][number];

/** A type's usage as it is stored; the rest is computed. */
interface UsageItem {
  readonly [column: string]: unknown;
  readonly usage_type: string;
  readonly used: number;
  readonly limit: number | null;
  readonly mode: LimitMode | null;
  readonly reset_period: ResetPeriod;
  readonly period_start: string;
  readonly resets_at: string;
}

/** The calling tenant's usage in the running period, by type, with its plan's limits. */
export async function readUsage(call: Call): Promise<Reply<200, UsageReport>> {
  await beginPeriods(call);
  const { current, items } = await call.databases.billing.transaction(async (transaction) => {
    const own = await planOfTenant(transaction, transaction.tenantId, call.context.planId);
    const allowances = await readAllowances(transaction);
    const counted = await readCounted(transaction, call, own, allowances);
    return { current: own, items: [...allowances, ...counted] };
  });
  return ok({
    plan_id: call.context.planId,
    items: items
      .map((item) => reportedItem(item, current))
      .sort((left, right) => left.usage_type.localeCompare(right.usage_type)),
  });
}

function reportedItem(item: UsageItem, current: PlanOfTenant | undefined): ReportedItem {
  const policies = current?.plan.limit_policies ?? {};
  const price =
    item.mode === 'metered' && Object.hasOwn(policies, item.usage_type)
      ? policies[item.usage_type]?.overage_unit_amount_decimal
      : undefined;
  const currency = price === undefined ? undefined : current?.currency;
  return {
    usage_type: item.usage_type,
    used: item.used,
    limit: item.limit,
    remaining: item.limit === null ? null : Math.max(0, item.limit - item.used),
    period_start: item.period_start,
    resets_at: item.resets_at,
    reset_period: item.reset_period,
    mode: item.mode,
    over_limit: item.limit === null ? 0 : Math.max(0, item.used - item.limit),
    overage_unit_price: price === undefined || currency === undefined ? null : minorToMajor(price, currency),
    currency: currency ?? null,
  };
}

/** Makes missing allowances and resets due ones: the timer may not have run yet. */
async function beginPeriods(call: Call): Promise<void> {
  // With the cross-tenant role (`comply_jobs`): the role of requests may not insert allowances or ended periods.
  const { billing } = call.services.crossTenant;
  await ensureAllowances(billing, call.context, call.now);
  await resetDueAllowances(billing, call.now, { tenantId: call.principal.tenantId });
}

function readAllowances(transaction: TenantTransaction): Promise<UsageItem[]> {
  return transaction.query<UsageItem>(
    `select usage_type, (current_usage + reserved)::float8 as used,
            case when mode <> 'none' then usage_limit::float8 end as limit, nullif(mode, 'none') as mode, reset_period,
            last_reset_at as period_start, next_reset_at as resets_at
       from free_tier_usage where tenant_id = $1 and user_id = ''`,
    [transaction.tenantId],
  );
}

/** The ledger's sums of the types that have no allowance. A tenant without a subscription has the limits of its plan here. */
async function readCounted(
  transaction: TenantTransaction,
  call: Call,
  current: PlanOfTenant | undefined,
  allowances: readonly UsageItem[],
): Promise<UsageItem[]> {
  const period = usagePeriod(current?.subscription, call.now);
  const known = [...new Set(allowances.map((item) => item.usage_type))];
  const used = await transaction.query<{ usage_type: string; used: number }>(
    `select usage_type, sum(usage_amount)::float8 as used from usage_records
      where tenant_id = $1 and occurred_at >= $2 and occurred_at < $3 and usage_type <> all($4::text[])
      group by usage_type`,
    [transaction.tenantId, period.start, period.end, known],
    { prepare: false },
  );
  const amounts = new Map(used.map((row) => [row.usage_type, row.used]));
  // Own properties only: a usage type may be named `constructor`.
  const isOwnPlan = current !== undefined && !call.context.hasQuota;
  const limits = new Map(isOwnPlan ? Object.entries(current.plan.limits) : []);
  const types = new Set([...limits.keys(), ...amounts.keys()].filter((type) => !known.includes(type)));
  return [...types].map((usageType): UsageItem => {
    const limit = limits.get(usageType) ?? null;
    return {
      usage_type: usageType,
      used: amounts.get(usageType) ?? 0,
      limit,
      mode: limit === null || current === undefined ? null : limitMode(current.plan, usageType),
      reset_period: 'monthly',
      period_start: period.start.toISOString(),
      resets_at: period.end.toISOString(),
    };
  });
}
