import {
  findNew,
  inInsertOrder,
  insertNew,
  type EventIdentity,
  type OnConflict,
} from '../../../platform/consume/same-event.ts';
import { withPartitions, type PartitionedTable } from '../../../platform/db/partitions.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { addToOutbox } from '../../../platform/writes/outbox.ts';
import type { ResetPeriod } from '../plans/plan.ts';
import { SHARE_ALLOWANCES } from './adjust-allowances.ts';
import { resetDueAllowances } from './free-tier.ts';
import { usagePeriod, type Period } from './periods.ts';
import { liveSubscriptions, type AllowanceMode, type MeteredSubscription } from './plan-of-tenant.ts';
import { raiseThresholds } from './thresholds.ts';

/** One row of the usage ledger. */
export interface Usage extends EventIdentity {
  readonly id: string;
  readonly user_id: string;
  readonly subscription_id: string | null;
  readonly usage_type: string;
  readonly amount: number;
  readonly unit: string;
  readonly resource_type: string | null;
  readonly resource_id: string | null;
  readonly reservation_id: string | null;
}

const USAGE = recordset({
  tenant_id: 'text',
  id: 'uuid',
  source: 'text',
  event_id: 'text',
  user_id: 'text',
  subscription_id: 'uuid',
  usage_type: 'text',
  amount: 'numeric',
  unit: 'text',
  resource_type: 'text',
  resource_id: 'text',
  at: 'timestamptz',
  reservation_id: 'uuid',
  period_start: 'timestamptz',
  period_end: 'timestamptz',
});
const ALLOWANCES = recordset({
  tenant_id: 'text',
  user_id: 'text',
  usage_type: 'text',
  reset_period: 'text',
  last_reset_at: 'timestamptz',
});

/** The largest whole number of a `numeric(20, 9)`. A counter stops here: an overflow would fail the batch. */
const COUNTER_MAX = '99999999999';

/** Locks the allowances that a batch counts against, until the transaction ends. */
const LOCK_ALLOWANCES = `
select tenant_id, user_id, usage_type, reset_period, last_reset_at, next_reset_at, current_usage::float8 as before,
       usage_limit::float8 as limit, mode
  from free_tier_usage
 where tenant_id = any($1::text[]) and user_id = any($3::text[]) and usage_type = any($2::text[])
 order by tenant_id, user_id, usage_type, reset_period for update`;

interface Allowance {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly usage_type: string;
  readonly reset_period: ResetPeriod;
  readonly last_reset_at: string;
  readonly next_reset_at: string;
  readonly before: number;
  readonly limit: number;
  readonly mode: AllowanceMode;
}

/**
 * Everything that a batch of usage changes in the billing database, in one statement. The allowances are locked before.
 *
 * - `kept`: each event becomes one ledger row, in the billing period of its own time, see {@link usagePeriod}.
 * - `counted`: a new event of the running period counts against the tenant's allowances, and the user's own if there are
 *   any. A running period may begin in the future: after a reset with a future `as_of`, or when the clock was set back.
 * - `late`: an event from before the running period counts in the ended period of its time.
 * - `settled`: an event's reservation is deleted as the event is counted.
 *
 * Rows are inserted in one order, so that two batches, or a batch and the report to Stripe, do not deadlock. Nothing here waits for a row and then checks it
 * again: in a statement that also chooses partitions at run time, PostgreSQL 18 then uses freed memory and crashes.
 */
const insertText = (onConflict: OnConflict): string => `
with event as materialized (
  select * from ${USAGE.from('e', 7)}),
allowance as materialized (
  select * from ${ALLOWANCES.from('a', 2)}),
kept as (
  insert into usage_records (tenant_id, id, event_source, event_id, user_id, subscription_id, usage_type, usage_amount,
    usage_unit, resource_type, resource_id, occurred_at, received_at, billing_period_start, billing_period_end, created_at)
  select e.tenant_id, e.id, e.source, e.event_id, e.user_id, e.subscription_id, e.usage_type, e.amount, e.unit,
         e.resource_type, e.resource_id, e.at, $1, e.period_start, e.period_end, $1
    from event e
   order by e.tenant_id, e.source, e.event_id
  ${onConflict}
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
   where occurred_at >= last_reset_at or last_reset_at > $1
   group by tenant_id, user_id, usage_type, reset_period),
changed as (
  update free_tier_usage f
     set current_usage = least(f.current_usage + coalesce(c.amount, 0), ${COUNTER_MAX}),
         reserved = greatest(0, f.reserved - coalesce(g.amount, 0)), updated_at = $1
    from allowance a
    left join counted c using (tenant_id, user_id, usage_type, reset_period)
    left join freed g on g.tenant_id = a.tenant_id and g.usage_type = a.usage_type and a.user_id = ''
   where f.tenant_id = a.tenant_id and f.user_id = a.user_id and f.usage_type = a.usage_type
     and f.reset_period = a.reset_period and (c.amount is not null or g.amount is not null)
  returning f.tenant_id, f.user_id, f.usage_type, f.reset_period, f.current_usage),
late as (
  select tenant_id, user_id, usage_type, reset_period, occurred_at, usage_amount from charged
   where occurred_at < last_reset_at and last_reset_at <= $1),
ended as (
  select tenant_id, user_id, usage_type, reset_period, period_start, period_end, usage_limit from ops.free_tier_periods
   where exists (select from late) and tenant_id in (select tenant_id from late)),
adjusted as (
  insert into ops.free_tier_periods as p
    (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit, recorded_at)
  select l.tenant_id, l.user_id, l.usage_type, l.reset_period, e.period_start, e.period_end, sum(l.usage_amount),
         max(e.usage_limit), $1
    from late l join ended e using (tenant_id, user_id, usage_type, reset_period)
   where l.occurred_at >= e.period_start and l.occurred_at < e.period_end
   group by l.tenant_id, l.user_id, l.usage_type, l.reset_period, e.period_start, e.period_end
   order by l.tenant_id, l.usage_type, e.period_start
  on conflict (tenant_id, user_id, usage_type, reset_period, period_start)
    do update set used = least(p.used + excluded.used, ${COUNTER_MAX}))
select tenant_id, user_id, usage_type, reset_period, current_usage::float8 as after from changed`;

/** The ledger's partitions. */
export const USAGE_RECORDS: PartitionedTable = { table: 'usage_records', grain: 'month' };
export const LEDGER = { table: USAGE_RECORDS.table, timeColumn: 'occurred_at' };

/**
 * Writes usage to the ledger, the allowances and the quota reservations. Idempotent by the events' source and id. The
 * events of one call must differ. Returns the entries of the outbox that it has caused, which are committed: the thresholds that
 * were reached; and how many events are new.
 * @throws the database's error; then nothing is written.
 */
export async function writeUsage(
  database: CrossTenantDatabase,
  usage: readonly Usage[],
  now: Date,
): Promise<{ readonly caused: readonly OutboxEntry[]; readonly fresh: number }> {
  if (usage.length === 0) return { caused: [], fresh: 0 };
  const instants = usage.map((event) => new Date(event.at));
  const ordered = inInsertOrder(usage);
  const write = (): Promise<Written> =>
    insertNew((onConflict) =>
      database.transaction((transaction) => writeWithin(transaction, ordered, now, onConflict)),
    );
  // An allowance can become due between two attempts, but hardly twice.
  for (let attempt = 1; attempt <= 3; attempt++) {
    const { due, entries, fresh } = await withPartitions(database, USAGE_RECORDS, instants, write);
    if (due.size === 0) return { caused: entries, fresh };
    for (const tenantId of due) await resetDueAllowances(database, now, { tenantId });
  }
  throw new Error('the allowances are still due after three resets');
}

/** What became of a batch: the tenants whose allowances are due, and then nothing is written; or what it has caused. */
interface Written {
  readonly due: ReadonlySet<string>;
  readonly entries: readonly OutboxEntry[];
  /** The events that were not counted before. */
  readonly fresh: number;
}

async function writeWithin(
  transaction: CrossTenantTransaction,
  usage: readonly Usage[],
  now: Date,
  onConflict: OnConflict,
): Promise<Written> {
  const tenants = [...new Set(usage.map((event) => event.tenant_id))];
  const types = [...new Set(usage.map((event) => event.usage_type))];
  const users = [...new Set(['', ...usage.map((event) => event.user_id)])];
  // Locks first: then this batch sees what another batch wrote under them. Sent together, and run in this order.
  const [, allowances, subscriptions, fresh] = await Promise.all([
    transaction.query(SHARE_ALLOWANCES, [tenants]),
    transaction.query<Allowance>(LOCK_ALLOWANCES, [tenants, types, users]),
    liveSubscriptions(transaction, tenants),
    findNew(transaction, LEDGER, usage),
  ]);
  const due = allowances.filter((allowance) => Date.parse(allowance.next_reset_at) <= now.getTime());
  if (due.length > 0)
    return { due: new Set(due.map((allowance) => allowance.tenant_id)), entries: [], fresh: 0 };
  if (fresh.length === 0) return { due: new Set(), entries: [], fresh: 0 };
  const parameters = [
    now,
    ...ALLOWANCES.parameters(allowances),
    ...USAGE.parameters(inPeriods(fresh, subscriptions)),
  ];
  const changed = await transaction.query<Changed>(insertText(onConflict), parameters);
  const entries = await raiseThresholds(transaction, changesOf(allowances, changed), now);
  await addToOutbox(transaction, entries);
  return { due: new Set(), entries, fresh: fresh.length };
}

/** The events with their subscription and the period that each is counted in. */
function inPeriods(events: readonly Usage[], subscriptions: ReadonlyMap<string, MeteredSubscription>) {
  // Most events of a batch are of few periods.
  const known = new Map<string, Period[]>();
  return events.map((event) => {
    const subscription = subscriptions.get(event.tenant_id);
    const at = new Date(event.at);
    const periods = known.get(event.tenant_id) ?? [];
    let period = periods.find(({ start, end }) => start <= at && at < end);
    if (period === undefined) {
      period = usagePeriod(subscription, at);
      periods.push(period);
      known.set(event.tenant_id, periods);
    }
    return {
      ...event,
      subscription_id: event.subscription_id ?? ownSubscription(subscription, at),
      period_start: period.start,
      period_end: period.end,
    };
  });
}

/** The subscription that an event belongs to: not one that began later. */
function ownSubscription(subscription: MeteredSubscription | undefined, at: Date): string | null {
  if (subscription === undefined) return null;
  const started = Math.min(
    Date.parse(subscription.started_at),
    Date.parse(subscription.current_period_start),
  );
  return at.getTime() < started ? null : subscription.subscription_id;
}

/** An allowance after a batch. */
interface Changed {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly usage_type: string;
  readonly reset_period: string;
  readonly after: number;
}

function changesOf(allowances: readonly Allowance[], changed: readonly Changed[]) {
  const keyOf = (row: Pick<Changed, 'tenant_id' | 'user_id' | 'usage_type' | 'reset_period'>): string =>
    JSON.stringify([row.tenant_id, row.user_id, row.usage_type, row.reset_period]);
  const afterwards = new Map(changed.map((row) => [keyOf(row), row.after]));
  return allowances.map((allowance) => ({
    ...allowance,
    after: afterwards.get(keyOf(allowance)) ?? allowance.before,
  }));
}
