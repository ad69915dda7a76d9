import { inBatch } from '../../platform/db/batch-transaction.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { HOUR_MS } from '../../platform/time/clock.ts';

/** A tenant's usage of one type, in whole hours of UTC: the running one and those before it. */
export interface UsageWindow {
  readonly tenant_id: string;
  readonly usage_type: string;
  readonly usage_unit: string;
  readonly hours: number;
}

const WINDOWS = recordset({
  n: 'int',
  tenant_id: 'text',
  usage_type: 'text',
  usage_unit: 'text',
  from_at: 'timestamptz',
});

/** Sums up windows of several tenants from the hourly roll-ups, in their order. Without usage it is 0. */
export async function sumUsage(
  analytics: CrossTenantDatabase,
  windows: readonly UsageWindow[],
  now: Date,
): Promise<number[]> {
  const hour = Math.floor(now.getTime() / HOUR_MS) * HOUR_MS;
  const rows = windows.map(({ tenant_id, usage_type, usage_unit, hours }, n) => ({
    n,
    tenant_id,
    usage_type,
    usage_unit,
    from_at: new Date(hour - (hours - 1) * HOUR_MS),
  }));
  // Rows are compared, not times: the index by time then cannot serve this, which would read all of a tenant's types.
  const sums = await inBatch(analytics, (transaction) =>
    transaction.query<{ amount: number }>(
      `select s.amount from ${WINDOWS.from('w', 2)}
        cross join lateral (
          select coalesce(sum(m.metric_value), 0)::float8 as amount from usage_metrics m
           where m.tenant_id = w.tenant_id and m.metric_name = w.usage_type and m.metric_unit = w.usage_unit
             and (m.granularity, m.period_start) >= ('hour', w.from_at)
             and (m.granularity, m.period_start) <= ('hour', $1::timestamptz)) s
       order by w.n`,
      [now, ...WINDOWS.parameters(rows)],
    ),
  );
  return sums.map((row) => row.amount);
}
