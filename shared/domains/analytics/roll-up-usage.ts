import type { EventIdentity } from '../../platform/consume/same-event.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** One use of something, as the roll-ups see it. Its amount is rounded as the billing ledger rounds it, so that both agree. */
export interface RolledUsage extends EventIdentity {
  readonly usage_type: string;
  readonly amount: number;
  readonly unit: string;
}

const USAGE = recordset({
  tenant_id: 'text',
  source: 'text',
  event_id: 'text',
  usage_type: 'text',
  amount: 'numeric(20, 9)',
  unit: 'text',
  at: 'timestamptz',
});

/**
 * Adds usage to the hourly and daily roll-ups of its own time, in one statement. Each event counts once, by its source
 * and id, for as long as `ops.consumed_events` remembers it.
 * @throws what the database throws; then nothing was added.
 */
export async function rollUpUsage(
  database: CrossTenantDatabase,
  usage: readonly RolledUsage[],
  now: Date,
): Promise<void> {
  if (usage.length === 0) return;
  await database.query(
    `with event as materialized (
       select distinct on (tenant_id, source, event_id) * from ${USAGE.from('e', 2)}
        order by tenant_id, source, event_id),
     fresh as (
       insert into ops.consumed_events (tenant_id, event_source, event_id, consumed_at)
       select tenant_id, source, event_id, $1 from event order by tenant_id, source, event_id
       on conflict (tenant_id, event_source, event_id) do nothing
       returning tenant_id, event_source, event_id)
     insert into usage_metrics as m
       (tenant_id, metric_name, granularity, period_start, metric_unit, metric_value, event_count, created_at, updated_at)
     select e.tenant_id, e.usage_type, g.granularity, date_trunc(g.granularity, e.at, 'UTC'), e.unit,
            sum(e.amount), count(*), $1, $1
       from fresh f
       join event e on e.tenant_id = f.tenant_id and e.source = f.event_source and e.event_id = f.event_id
      cross join (values ('hour'), ('day')) g (granularity)
      group by 1, 2, 3, 4, 5
      order by 1, 2, 3, 4, 5
     on conflict (tenant_id, metric_name, granularity, period_start, metric_unit) do update
        set metric_value = m.metric_value + excluded.metric_value, event_count = m.event_count + excluded.event_count,
            updated_at = excluded.updated_at`,
    [now, ...USAGE.parameters(usage)],
  );
}
