import type { Fault } from '../../../platform/call/problem.ts';
import type { CheckContext } from '../../../platform/resources/resource.ts';
import { pointerPart } from '../../../platform/json/pointer.ts';
import type { LimitPolicy, PlanType } from '../plans/plan.ts';
import type { DiscountType, Duration } from '../promotions/promotion.ts';

/** A usage type that Stripe meters: it is part of names there, which have limits. */
const METERED_TYPE = /^[a-z0-9_]{1,50}$/;

interface PlanBody {
  readonly plan_type: PlanType;
  readonly price_monthly: number;
  readonly price_yearly: number;
  readonly limits: Readonly<Record<string, number>>;
  readonly limit_policies: Readonly<Record<string, LimitPolicy>>;
  readonly allowances: readonly { usage_type: string; reset_period: string; per: string }[];
}

/** The faults of a plan beyond its schema. */
export function faultsOfPlan(body: PlanBody): Fault[] {
  const { plan_type: type, price_monthly: monthly, price_yearly: yearly, limits, allowances } = body;
  const faults: Fault[] = [];
  if (type === 'free' && monthly + yearly > 0)
    faults.push({ pointer: '/plan_type', detail: 'a free plan has no price' });
  for (const [usageType, policy] of Object.entries(body.limit_policies)) {
    const pointer = `/limit_policies/${pointerPart(usageType)}`;
    const fault = (detail: string): number => faults.push({ pointer, detail });
    if (!Object.hasOwn(limits, usageType)) fault('is about a usage type that has no limit');
    const isPriced = policy.overage_unit_amount_decimal !== undefined;
    if (isPriced !== (policy.mode === 'metered'))
      fault(isPriced ? 'only a metered limit has a price' : 'a metered limit needs a price');
    if (policy.mode !== 'metered') continue;
    if (type === 'free') fault('a free plan charges for nothing');
    if (!METERED_TYPE.test(usageType)) fault('a metered usage type is 1 to 50 of a-z, 0-9 and “_”');
  }
  const seen = new Set<string>();
  for (const [n, { usage_type, reset_period, per }] of allowances.entries()) {
    const key = JSON.stringify([usage_type, reset_period, per]);
    if (seen.has(key)) faults.push({ pointer: `/allowances/${n}`, detail: 'is there twice' });
    seen.add(key);
    if (per === 'tenant' && reset_period === 'monthly')
      faults.push({ pointer: `/allowances/${n}`, detail: 'a tenant’s monthly allowance is one of `limits`' });
  }
  return faults;
}

interface CodeBody {
  readonly discount_type: DiscountType;
  readonly discount_value: number;
  readonly currency: string | null;
  readonly duration: Duration;
  readonly duration_in_months: number | null;
  readonly max_uses: number | null;
  readonly valid_from: string | null;
  readonly valid_until: string | null;
  readonly applicable_plans: readonly string[];
}

const PERCENT_MAX = 100;
/** As Stripe: a trial's longest time. */
const TRIAL_DAYS_MAX = 730;

/** The faults of a promotional code beyond its schema. */
export async function faultsOfCode(body: CodeBody, { call, transaction }: CheckContext): Promise<Fault[]> {
  const faults: Fault[] = [];
  const { discount_type: type, discount_value: value, max_uses: max, applicable_plans: plans } = body;
  if (type === 'percentage' && value > PERCENT_MAX)
    faults.push({ pointer: '/discount_value', detail: 'must be at most 100 percent' });
  if (type === 'free_trial' && value > TRIAL_DAYS_MAX)
    faults.push({ pointer: '/discount_value', detail: 'must be at most 730 days' });
  if ((type === 'fixed_amount') !== (body.currency !== null))
    faults.push({ pointer: '/currency', detail: 'is needed for a fixed amount, and only there' });
  if ((body.duration === 'repeating') !== (body.duration_in_months !== null))
    faults.push({ pointer: '/duration_in_months', detail: 'is needed for `repeating`, and only there' });
  const { valid_from: from, valid_until: until } = body;
  if (from !== null && until !== null && Date.parse(until) <= Date.parse(from))
    faults.push({ pointer: '/valid_until', detail: 'must be after valid_from' });
  const known = await transaction.query<{ plan_id: string }>(
    `select plan_id from billing_plans where plan_id = any($1::text[])`,
    [plans],
  );
  const ids = new Set(known.map((plan) => plan.plan_id));
  for (const [n, plan] of plans.entries())
    if (!ids.has(plan)) faults.push({ pointer: `/applicable_plans/${n}`, detail: 'is no plan' });
  // Only a replacement has an id in its path. The row is locked, so its uses do not change meanwhile.
  const id = call.params['code'];
  const [used] = await transaction.query<{ current_uses: number }>(
    `select current_uses from promotional_codes where code = $1`,
    [typeof id === 'string' ? id : ''],
  );
  if (used !== undefined && max !== null && max < used.current_uses)
    faults.push({ pointer: '/max_uses', detail: 'is less than the uses so far' });
  return faults;
}
