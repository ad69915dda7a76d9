import {
  inInsertOrder,
  insertNew,
  type EventIdentity,
  type OnConflict,
} from '../../platform/consume/same-event.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { DAY_MS } from '../../platform/time/clock.ts';

/** One usage event, as the roll-ups need it. The amount is rounded as in the billing ledger, so that both agree. */
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

const FRESH: Readonly<Record<OnConflict, string>> = {
  '': 'select * from event',
  'on conflict do nothing': `
  select e.* from event e
    join consumed c on c.tenant_id = e.tenant_id and c.event_source = e.source and c.event_id = e.event_id`,
};

/**
 * The table of consumed events, and how long it remembers them. A message comes again within hours, or by an operator's replay
 * within weeks. After 90 days only the billing ledger's own key prevents a second count.
 */
export const CONSUMED_EVENTS = {
  table: 'ops.consumed_events',
  timeColumn: 'consumed_at',
  keptMs: 90 * DAY_MS,
} as const;

/** Days are summed up from the hours, so that each event is read once. */
const rollUpText = (onConflict: OnConflict): string => `
with event as materialized (
  select * from ${USAGE.from('e', 2)}),
consumed as (
  insert into ops.consumed_events (tenant_id, event_source, event_id, consumed_at)
  select tenant_id, source, event_id, $1 from event
  ${onConflict}
  returning tenant_id, event_source, event_id),
fresh as (${FRESH[onConflict]}),
hours as (
  select tenant_id, usage_type, unit, date_trunc('hour', at, 'UTC') as period_start, sum(amount) as amount, count(*) as events
    from fresh group by 1, 2, 3, 4),
periods as (
  select tenant_id, usage_type, 'hour' as granularity, period_start, unit, amount, events from hours
  union all
  select tenant_id, usage_type, 'day', date_trunc('day', period_start, 'UTC'), unit, sum(amount), sum(events)
    from hours group by 1, 2, 4, 5)
insert into usage_metrics as m
  (tenant_id, metric_name, granularity, period_start, metric_unit, metric_value, event_count, created_at, updated_at)
select *, $1, $1 from periods order by 1, 2, 3, 4, 5
on conflict (tenant_id, metric_name, granularity, period_start, metric_unit) do update
   set metric_value = m.metric_value + excluded.metric_value, event_count = m.event_count + excluded.event_count,
       updated_at = excluded.updated_at`;

/**
 * Adds usage to the hourly and daily roll-ups of its own time, in one statement. Each event counts once, by its source
 * and id, as long as it is in `ops.consumed_events`. The events of one call must differ.
 * @throws the database's error; then nothing is added.
 */
export async function rollUpUsage(
  database: CrossTenantDatabase,
  usage: readonly RolledUsage[],
  now: Date,
): Promise<void> {
  if (usage.length === 0) return;
  const parameters = [now, ...USAGE.parameters(inInsertOrder(usage))];
  await insertNew((onConflict) => database.query(rollUpText(onConflict), parameters));
}
