import type { CloudEvent, UsageData } from '../../platform/bus/events.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

const IDENTITIES = recordset({ tenant_id: 'text', source: 'text', event_id: 'text' });

/** Those of the events that are not in the roll-ups. */
export async function findUnrolled(
  analytics: CrossTenantDatabase,
  events: readonly CloudEvent<UsageData>[],
): Promise<CloudEvent<UsageData>[]> {
  if (events.length === 0) return [];
  const rows = await analytics.query<{ event_id: string }>(
    `select i.event_id from ${IDENTITIES.from('i', 1)}
       join ops.consumed_events c on c.tenant_id = i.tenant_id and c.event_source = i.source and c.event_id = i.event_id`,
    IDENTITIES.parameters(
      events.map(({ id, source, data }) => ({ tenant_id: data.tenant_id, source, event_id: id })),
    ),
    { prepare: false },
  );
  const known = new Set(rows.map((row) => row.event_id));
  return events.filter((event) => !known.has(event.id));
}

/** One roll-up: an hour or a day of one type of usage. Its amount is exact. */
export interface RollUp {
  readonly [column: string]: unknown;
  readonly metric_name: string;
  readonly granularity: string;
  readonly period_start: string;
  readonly metric_unit: string;
  readonly amount: string;
  readonly events: number;
}

/** A tenant's roll-ups since the start of a day. */
export function readRollUps(analytics: CrossTenantDatabase, tenantId: string, from: Date): Promise<RollUp[]> {
  return analytics.query<RollUp>(
    `select metric_name, granularity, period_start, metric_unit, metric_value::text as amount, event_count::int as events
       from usage_metrics where tenant_id = $1 and period_start >= $2`,
    [tenantId, from],
    { prepare: false },
  );
}

const ROLL_UPS = recordset({
  metric_name: 'text',
  granularity: 'text',
  period_start: 'timestamptz',
  metric_unit: 'text',
  amount: 'numeric',
  events: 'bigint',
});

/** Sets a tenant's roll-ups to these. They only repeat what the ledger of usage has. */
export async function setRollUps(
  analytics: CrossTenantDatabase,
  tenantId: string,
  rollUps: readonly RollUp[],
  now: Date,
): Promise<void> {
  await analytics.query(
    `insert into usage_metrics as m
       (tenant_id, metric_name, granularity, period_start, metric_unit, metric_value, event_count, created_at, updated_at)
     select $1, r.metric_name, r.granularity, r.period_start, r.metric_unit, r.amount, r.events, $2, $2
       from ${ROLL_UPS.from('r', 3)} order by 2, 3, 4, 5
     on conflict (tenant_id, metric_name, granularity, period_start, metric_unit) do update
        set metric_value = excluded.metric_value, event_count = excluded.event_count, updated_at = excluded.updated_at`,
    [tenantId, now, ...ROLL_UPS.parameters(rollUps)],
  );
}
