import { SAME_EVENT_SPAN } from '../bus/same-event.ts';
import type { JobsDatabase } from '../db/tenant-database.ts';
import { withMonthPartitions } from '../db/month-partitions.ts';
import { resetDueAllowances } from './free-tier.ts';

/** One use of something, as the ledger keeps it. */
export interface Usage {
  readonly tenant_id: string;
  readonly id: string;
  readonly source: string;
  readonly event_id: string;
  readonly user_id: string;
  readonly subscription_id: string | null;
  readonly usage_type: string;
  readonly amount: number;
  readonly unit: string;
  readonly resource_type: string | null;
  readonly resource_id: string | null;
  /** RFC 3339 in UTC. */
  readonly occurred_at: string;
  readonly reservation_id: string | null;
}

/** What a `numeric(20, 9)` holds, less than its rounding: a counter at its end stands still rather than fail. */
const COUNTER_MAX = '99999999999';

/** The allowances that a batch counts against; they stay as they are until the transaction ends. */
const LOCK_ALLOWANCES = `
select tenant_id, user_id, usage_type, reset_period, last_reset_at, next_reset_at
  from free_tier_usage
 where tenant_id = any($1::text[]) and usage_type = any($2::text[])
 order by tenant_id, user_id, usage_type, reset_period for update`;

interface Allowance {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly next_reset_at: string;
}

/**
 * Everything that a batch of usage does to the billing database, in one statement; the allowances that it counts against
 * (`$3`) are locked before:
 *
 * - `kept`: each event becomes a usage record once, in the billing period of its own time: the live subscription's period
 *   that contains it, or else the calendar month.
 * - `counted`: what is new counts against the tenant's allowances (and the user's own, where there are any), if it happened
 *   in the running period. A period that begins ahead of the clock runs all the same: a reset was asked for as of then, or
 *   the clock was set back.
 * - `late`: what happened before the running period counts in the ended one that it belongs to.
 * - `settled`: what was reserved at the door for an event stops being reserved as the event is counted.
 *
 * Rows are inserted in one order, so that two batches do not block each other. Nothing here waits for a row and judges it
 * anew: in a statement that also chooses partitions as it runs, PostgreSQL 18 then uses what it has freed, and crashes.
 */
const RECORD_USAGE = `
with event as materialized (
  select * from json_to_recordset($1::text::json) as e (tenant_id text, id uuid, source text, event_id text, user_id text,
    subscription_id uuid, usage_type text, amount numeric, unit text, resource_type text, resource_id text,
    occurred_at timestamptz, reservation_id uuid)),
allowance as materialized (
  select * from json_to_recordset($3::text::json) as a (tenant_id text, user_id text, usage_type text, reset_period text,
    last_reset_at timestamptz)),
kept as (
  insert into usage_records (tenant_id, id, event_source, event_id, user_id, subscription_id, usage_type, usage_amount,
    usage_unit, resource_type, resource_id, occurred_at, received_at, billing_period_start, billing_period_end, created_at)
  select e.tenant_id, e.id, e.source, e.event_id, e.user_id, coalesce(e.subscription_id, s.subscription_id), e.usage_type,
         e.amount, e.unit, e.resource_type, e.resource_id, e.occurred_at, $2,
         coalesce(s.current_period_start, date_trunc('month', e.occurred_at, 'UTC')),
         coalesce(s.current_period_end, date_trunc('month', e.occurred_at, 'UTC') + interval '1 month'), $2
    from event e
    left join user_subscriptions s
      on s.tenant_id = e.tenant_id and s.status in ('active', 'trialing', 'past_due', 'paused', 'unpaid', 'incomplete')
     and e.occurred_at >= s.current_period_start and e.occurred_at < s.current_period_end
   where not exists (
       select from usage_records u
        where u.tenant_id = e.tenant_id and u.event_source = e.source and u.event_id = e.event_id
          and u.occurred_at between e.occurred_at - interval '${SAME_EVENT_SPAN}' and e.occurred_at + interval '${SAME_EVENT_SPAN}')
   order by e.tenant_id, e.source, e.event_id
  on conflict do nothing
  returning tenant_id, user_id, usage_type, usage_amount, occurred_at),
settled as (
  delete from ops.usage_reservations r
   using (select distinct tenant_id, reservation_id, usage_type from event where reservation_id is not null) e
   where r.tenant_id = e.tenant_id and r.reservation_id = e.reservation_id and r.usage_type = e.usage_type
  returning r.tenant_id, r.usage_type, r.amount),
freed as (
  select tenant_id, usage_type, sum(amount) as amount from settled group by tenant_id, usage_type),
charged as materialized (
  select a.*, k.usage_amount, k.occurred_at
    from kept k join allowance a
      on a.tenant_id = k.tenant_id and a.usage_type = k.usage_type and (a.user_id = '' or a.user_id = k.user_id)),
counted as (
  select tenant_id, user_id, usage_type, reset_period, sum(usage_amount) as amount from charged
   where occurred_at >= last_reset_at or last_reset_at > $2
   group by tenant_id, user_id, usage_type, reset_period),
changed as (
  update free_tier_usage f
     set current_usage = least(f.current_usage + coalesce(c.amount, 0), ${COUNTER_MAX}),
         reserved = greatest(0, f.reserved - coalesce(g.amount, 0)), updated_at = $2
    from allowance a
    left join counted c using (tenant_id, user_id, usage_type, reset_period)
    left join freed g on g.tenant_id = a.tenant_id and g.usage_type = a.usage_type and a.user_id = ''
   where f.tenant_id = a.tenant_id and f.user_id = a.user_id and f.usage_type = a.usage_type
     and f.reset_period = a.reset_period and (c.amount is not null or g.amount is not null)),
late as (
  select tenant_id, user_id, usage_type, reset_period, occurred_at, usage_amount from charged
   where occurred_at < last_reset_at and last_reset_at <= $2),
ended as (
  select tenant_id, user_id, usage_type, reset_period, period_start, period_end, usage_limit from ops.free_tier_periods
   where exists (select from late) and tenant_id in (select tenant_id from late)),
adjusted as (
  insert into ops.free_tier_periods as p
    (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit, recorded_at)
  select l.tenant_id, l.user_id, l.usage_type, l.reset_period, e.period_start, e.period_end, sum(l.usage_amount),
         max(e.usage_limit), $2
    from late l join ended e using (tenant_id, user_id, usage_type, reset_period)
   where l.occurred_at >= e.period_start and l.occurred_at < e.period_end
   group by l.tenant_id, l.user_id, l.usage_type, l.reset_period, e.period_start, e.period_end
  on conflict (tenant_id, user_id, usage_type, reset_period, period_start)
    do update set used = least(p.used + excluded.used, ${COUNTER_MAX}))
select 1`;

/**
 * Records usage: the ledger, the allowances, the reservations at the door. Idempotent by the events' source and id, of
 * which no two of one call may be the same.
 * @throws what the database throws; then nothing was recorded.
 */
export async function recordUsage(database: JobsDatabase, usage: readonly Usage[], now: Date): Promise<void> {
  if (usage.length === 0) return;
  const tenants = [...new Set(usage.map((event) => event.tenant_id))];
  const types = [...new Set(usage.map((event) => event.usage_type))];
  const instants = usage.map((event) => new Date(event.occurred_at));
  const record = (): Promise<ReadonlySet<string>> =>
    database.transaction(async (transaction) => {
      const allowances = await transaction.query<Allowance>(LOCK_ALLOWANCES, [tenants, types]);
      const due = allowances.filter((allowance) => Date.parse(allowance.next_reset_at) <= now.getTime());
      if (due.length === 0) {
        const parameters = [JSON.stringify(usage), now, JSON.stringify(allowances)];
        await transaction.query(RECORD_USAGE, parameters, { prepare: false });
      }
      return new Set(due.map((allowance) => allowance.tenant_id));
    });
  // A reset can come due between one look and the next, hardly twice.
  for (let attempt = 1; attempt <= 3; attempt++) {
    const due = await withMonthPartitions(database, 'usage_records', instants, record);
    if (due.size === 0) return;
    for (const tenantId of due) await resetDueAllowances(database, now, { tenantId });
  }
  throw new Error('the allowances stay due');
}
