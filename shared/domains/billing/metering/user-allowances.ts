import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { placeOf } from './allowance-changes.ts';
import {
  allowancesOf,
  planOfTenant,
  type MeteredSubscription,
  type PlanAllowance,
} from './plan-of-tenant.ts';

/** What each user of a tenant has, and the users whose rows this process knows to exist. */
export interface MadeAllowances {
  readonly tenantId: string;
  readonly planId: string;
  readonly subscription: MeteredSubscription | undefined;
  /** The allowances of each user; of most plans none. */
  readonly each: readonly PlanAllowance[];
  readonly users: Set<string>;
}

/** What a tenant's plan gives each of its users. */
export async function userAllowances(
  database: CrossTenantDatabase,
  tenantId: string,
): Promise<MadeAllowances> {
  const current = await planOfTenant(database, tenantId);
  return {
    tenantId,
    planId: current?.plan.plan_id ?? '',
    subscription: current?.subscription,
    each: current === undefined ? [] : allowancesOf(current.plan).filter(({ per }) => per === 'user'),
    users: new Set(),
  };
}

const ROWS = recordset({
  user_id: 'text',
  usage_type: 'text',
  reset_period: 'text',
  usage_limit: 'numeric',
  anchor_at: 'timestamptz',
  last_reset_at: 'timestamptz',
  next_reset_at: 'timestamptz',
});

/** Makes the allowances of users that are seen for the first time, and gives the others those of another plan. */
export async function ensureUserAllowances(
  database: CrossTenantDatabase,
  { tenantId, planId, subscription, each, users: known }: MadeAllowances,
  users: readonly string[],
  now: Date,
): Promise<void> {
  const unknown = [...new Set(users)].filter((user) => !known.has(user)).sort();
  if (unknown.length === 0) return;
  const rows = unknown.flatMap((user_id) =>
    each.map(({ usage_type, reset_period, limit }) => ({
      user_id,
      usage_type,
      reset_period,
      usage_limit: limit,
      ...placeOf(reset_period, subscription, now),
    })),
  );
  await database.query(
    `insert into free_tier_usage as f (tenant_id, user_id, usage_type, reset_period, usage_limit, plan_id, anchor_at,
       anchor_date, last_reset_at, next_reset_at, created_at, updated_at)
     select $1, r.user_id, r.usage_type, r.reset_period, r.usage_limit, $2, r.anchor_at,
            (r.anchor_at at time zone 'UTC')::date, r.last_reset_at, r.next_reset_at, $3, $3
       from ${ROWS.from('r', 4)}
     on conflict (tenant_id, user_id, usage_type, reset_period)
       do update set usage_limit = excluded.usage_limit, mode = 'hard', plan_id = excluded.plan_id, updated_at = $3
       where f.plan_id <> excluded.plan_id`,
    [tenantId, planId, now, ...ROWS.parameters(rows)],
  );
  for (const user of unknown) known.add(user);
}
