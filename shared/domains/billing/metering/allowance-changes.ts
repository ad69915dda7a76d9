import type { PlanLimits, ResetPeriod } from '../plans/plan.ts';
import { anchorOf, periodAround, usagePeriod } from './periods.ts';
import {
  allowanceKey,
  type AllowanceMode,
  type MeteredSubscription,
  type PlanAllowance,
} from './plan-of-tenant.ts';

/** A tenant's allowance, as its row has it. Numbers are text, so that they are not rounded; times are RFC 3339. */
export interface StoredAllowance {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly usage_type: string;
  readonly reset_period: ResetPeriod;
  readonly current_usage: string;
  readonly usage_limit: string;
  readonly reported: string;
  readonly mode: AllowanceMode;
  readonly plan_id: string | null;
  readonly anchor_at: string;
  readonly last_reset_at: string;
  readonly next_reset_at: string;
}

/** What a tenant's allowances are made of. */
export interface AllowanceSource {
  readonly plan: PlanLimits;
  /** The plan's allowances of a tenant, by {@link allowanceKey}. */
  readonly wanted: ReadonlyMap<string, PlanAllowance>;
  readonly subscription: MeteredSubscription | undefined;
}

/** A change of one allowance. `cut`: its running period ends at the new start. */
export interface AllowanceChange {
  readonly from: StoredAllowance;
  readonly to: StoredAllowance;
  readonly cut: boolean;
}

/** Where an allowance's periods are counted from, and the running one. */
export function placeOf(
  resetPeriod: ResetPeriod,
  subscription: MeteredSubscription | undefined,
  now: Date,
): Pick<StoredAllowance, 'anchor_at' | 'last_reset_at' | 'next_reset_at'> {
  const anchor =
    subscription === undefined ? `${now.toISOString().slice(0, 10)}T00:00:00.000Z` : anchorOf(subscription);
  const { start, end } =
    subscription !== undefined && resetPeriod === 'monthly'
      ? usagePeriod(subscription, now)
      : periodAround(anchor, resetPeriod, now);
  return { anchor_at: anchor, last_reset_at: start.toISOString(), next_reset_at: end.toISOString() };
}

/** The allowances of a plan that a tenant has no row of. Their anchor is the subscription's, or the day on which they are made. */
export function newAllowances(
  tenantId: string,
  rows: readonly StoredAllowance[],
  { plan, wanted, subscription }: AllowanceSource,
  now: Date,
): StoredAllowance[] {
  const existing = new Set(rows.map((row) => allowanceKey({ ...row, per: 'tenant' })));
  return [...wanted]
    .filter(([key]) => !existing.has(key))
    .map(([, { usage_type, reset_period, limit, mode }]) => ({
      tenant_id: tenantId,
      usage_type,
      reset_period,
      current_usage: '0',
      usage_limit: String(limit),
      reported: '0',
      mode,
      plan_id: plan.plan_id,
      ...placeOf(reset_period, subscription, now),
    }));
}

/**
 * The allowances that differ from the plan or from the subscription's periods. A limit of the same plan stays for the running period:
 * an operator's edit applies from the next one on. Rows of no plan, which somebody made by hand, stay as they are.
 */
export function changedAllowances(
  rows: readonly StoredAllowance[],
  source: AllowanceSource,
  now: Date,
): AllowanceChange[] {
  return rows.flatMap((from) => {
    if (from.plan_id === null) return [];
    const moved = moveOf(from, source.subscription, now);
    const to = { ...from, ...limitOf(from, source), ...moved.place };
    return moved.place === undefined && to.plan_id === from.plan_id ? [] : [{ from, to, cut: moved.cut }];
  });
}

function limitOf(
  row: StoredAllowance,
  { plan, wanted }: AllowanceSource,
): Partial<Pick<StoredAllowance, 'usage_limit' | 'mode' | 'plan_id'>> {
  if (row.plan_id === plan.plan_id) return {};
  const found = wanted.get(allowanceKey({ ...row, per: 'tenant' }));
  if (found === undefined) return { mode: 'none', plan_id: plan.plan_id };
  return { usage_limit: String(found.limit), mode: found.mode, plan_id: plan.plan_id };
}

/**
 * How a monthly allowance's period moves to the subscription's. Without a subscription it stays as it is. A start never moves back:
 * what was counted before it is in an ended period.
 */
function moveOf(
  row: StoredAllowance,
  subscription: MeteredSubscription | undefined,
  now: Date,
): { place?: Pick<StoredAllowance, 'anchor_at' | 'last_reset_at' | 'next_reset_at'>; cut: boolean } {
  if (subscription === undefined || row.reset_period !== 'monthly') return { cut: false };
  const place = placeOf('monthly', subscription, now);
  const [start, end, anchor] = [place.last_reset_at, place.next_reset_at, place.anchor_at].map(Date.parse);
  const [oldStart, oldEnd, oldAnchor] = [row.last_reset_at, row.next_reset_at, row.anchor_at].map(Date.parse);
  if (start === undefined || end === undefined || oldStart === undefined) return { cut: false };
  const cut = start > oldStart;
  if (!cut && end === oldEnd && anchor === oldAnchor) return { cut: false };
  if (end <= oldStart) return { cut: false };
  return { place: cut ? place : { ...place, last_reset_at: row.last_reset_at }, cut };
}
