import {
  inInsertOrder,
  insertNew,
  type EventIdentity,
  type OnConflict,
} from '../../platform/consume/same-event.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { DAY_MS } from '../../platform/time/clock.ts';

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

const FRESH: Readonly<Record<OnConflict, string>> = {
  '': 'select * from event',
  'on conflict do nothing': `
  select e.* from event e
    join consumed c on c.tenant_id = e.tenant_id and c.event_source = e.source and c.event_id = e.event_id`,
};

/**
 * The marks of consumed events, and how long they are remembered. A message comes again within hours, or by an operator's hand
 * within weeks; after a quarter the billing ledger's own key is the only one.
 */
export const CONSUMED_EVENTS = {
  table: 'ops.consumed_events',
  timeColumn: 'consumed_at',
  keptMs: 90 * DAY_MS,
} as const;

/** Days are added up from the hours: each event is looked at once. */
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
 * and id, for as long as `ops.consumed_events` remembers it; no two of one call may be the same.
 * @throws what the database throws; then nothing was added.
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
