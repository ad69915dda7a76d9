import type { JobsDatabase } from '../db/tenant-database.ts';

/** Makes a tenant's free allowances from the free plan's limits where they are missing. Anchored at the day they are made. */
export async function ensureAllowances(database: JobsDatabase, tenantId: string, now: Date): Promise<void> {
  await database.query(
    `insert into free_tier_usage (tenant_id, usage_type, reset_period, usage_limit, anchor_date, last_reset_at, next_reset_at)
     select $1, l.key, 'monthly', l.value::numeric, $2::timestamptz::date, $2::timestamptz::date,
            ($2::timestamptz::date + interval '1 month')
       from billing_plans p, jsonb_each_text(p.limits) l
      where p.plan_id = 'free'
     on conflict (tenant_id, user_id, usage_type, reset_period) do nothing`,
    [tenantId, now],
  );
}

/** placeholder */
export async function resetDueAllowances(
  _database: JobsDatabase,
  _now: Date,
  _options: { tenantId?: string },
): Promise<void> {}
