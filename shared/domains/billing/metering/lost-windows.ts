import type Stripe from 'stripe';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../platform/time/clock.ts';
import { sumCounted } from './send-windows.ts';

/** Stripe takes no meter event of an earlier time. */
const STRIPE_PAST_MS = 35 * DAY_MS;

/** A type of use that a tenant is charged for at Stripe. */
interface Metered {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly usage_type: string;
  readonly event_name: string;
  readonly meter_id: string;
  readonly stripe_customer_id: string;
  readonly period_start: string;
  readonly period_end: string;
}

/** Units that Stripe was told of, and that no window here has. */
export interface LostUnits {
  readonly tenantId: string;
  readonly usageType: string;
  readonly units: number;
}

/** How far one type's count was compared. */
interface Compared extends LostUnits {
  readonly metered: Metered;
}

/**
 * Finds the use that Stripe was told of after the moment to which billing is restored. It would be reported again under another
 * identifier, and charged twice. Stripe adds meter events up some minutes late, so nothing may be reported shortly before.
 * @throws what Stripe's SDK throws.
 */
export async function findLostUnits(
  billing: CrossTenantDatabase,
  stripe: Stripe,
  now: Date,
): Promise<LostUnits[]> {
  return (await compare(billing, stripe, now)).map(({ tenantId, usageType, units }) => ({
    tenantId,
    usageType,
    units,
  }));
}

/**
 * Writes down what {@link findLostUnits} finds, so that it is not reported again. Safe to repeat. Returns the units by tenant and
 * type.
 */
export async function bookLostUnits(
  billing: CrossTenantDatabase,
  stripe: Stripe,
  now: Date,
): Promise<LostUnits[]> {
  const found = await compare(billing, stripe, now);
  for (const one of found) await billing.transaction((transaction) => book(transaction, one, now));
  return found.map(({ tenantId, usageType, units }) => ({ tenantId, usageType, units }));
}

async function compare(billing: CrossTenantDatabase, stripe: Stripe, now: Date): Promise<Compared[]> {
  const metered = await billing.query<Metered>(
    `select r.tenant_id, r.usage_type, p.stripe_meters -> r.usage_type ->> 'event_name' as event_name,
            p.stripe_meters -> r.usage_type ->> 'meter_id' as meter_id, c.stripe_customer_id,
            r.last_reset_at as period_start, r.next_reset_at as period_end
       from free_tier_usage r
       join billing_plans p on p.plan_id = r.plan_id and p.stripe_meters -> r.usage_type ->> 'meter_id' is not null
       join ops.stripe_customers c on c.tenant_id = r.tenant_id and c.stripe_customer_id is not null
      where r.user_id = '' and r.reset_period = 'monthly'
      order by r.tenant_id, r.usage_type`,
  );
  const from = new Date(Math.floor((now.getTime() - STRIPE_PAST_MS + HOUR_MS) / MINUTE_MS) * MINUTE_MS);
  const to = new Date(Math.ceil(now.getTime() / MINUTE_MS) * MINUTE_MS);
  const found: Compared[] = [];
  for (const one of metered) {
    const counted = await sumCounted(stripe, one.meter_id, one.stripe_customer_id, { start: from, end: to });
    const [row] = await billing.query<{ amount: number }>(
      `select coalesce(sum(amount), 0)::float8 as amount from ops.meter_windows
        where tenant_id = $1 and event_name = $2 and status = 'sent' and reported_at >= $3 and reported_at < $4`,
      [one.tenant_id, one.event_name, from, to],
    );
    const units = Math.floor(counted - (row?.amount ?? 0));
    if (units > 0) found.push({ tenantId: one.tenant_id, usageType: one.usage_type, units, metered: one });
  }
  return found;
}

/** A period, and how many of the lost units it had. */
interface Share {
  readonly [column: string]: unknown;
  readonly period_start: string;
  readonly period_end: string;
  readonly amount: number;
}

const SHARES = recordset({
  window_id: 'uuid',
  period_start: 'timestamptz',
  period_end: 'timestamptz',
  amount: 'bigint',
});

async function book(transaction: CrossTenantTransaction, lost: Compared, now: Date): Promise<void> {
  const { tenantId, usageType, metered } = lost;
  // The lock under which windows are opened.
  await transaction.query(
    `select from free_tier_usage where tenant_id = $1 and usage_type = $2 and user_id = '' for update`,
    [tenantId, usageType],
  );
  const rest = await closePending(transaction, lost, now);
  if (rest === 0) return;
  const ended = await transaction.query<Share>(
    `select period_start, period_end, floor(used - usage_limit - reported)::float8 as amount from ops.free_tier_periods
      where tenant_id = $1 and usage_type = $2 and user_id = '' and reset_period = 'monthly' and mode = 'metered'
        and used >= usage_limit + reported + 1 and period_end > $3
      order by period_start for update`,
    [tenantId, usageType, new Date(now.getTime() - STRIPE_PAST_MS)],
  );
  const shares = shareOut(rest, ended, metered);
  const rows = shares.map((share) => ({ window_id: newId(now), ...share }));
  await transaction.query(
    `with s as materialized (select * from ${SHARES.from('s', 6)}),
     kept as (
       insert into ops.meter_windows (tenant_id, window_id, usage_type, period_start, period_end, amount, event_name, meter_id,
         status, reported_at, sent_at, error, created_at)
       select $1, s.window_id, $2, s.period_start, s.period_end, s.amount, $3, $4, 'sent', $5, $5, 'found_at_stripe', $5 from s),
     running as (
       update free_tier_usage r set reported = r.reported + s.amount from s
        where r.tenant_id = $1 and r.usage_type = $2 and r.user_id = '' and r.reset_period = 'monthly'
          and r.last_reset_at = s.period_start)
     update ops.free_tier_periods r set reported = r.reported + s.amount from s
      where r.tenant_id = $1 and r.usage_type = $2 and r.user_id = '' and r.reset_period = 'monthly'
        and r.period_start = s.period_start`,
    [tenantId, usageType, metered.event_name, metered.meter_id, now, ...SHARES.parameters(rows)],
  );
}

/** A window that was pending at the restored moment may be among what Stripe has. Returns the units that no window has. */
async function closePending(
  transaction: CrossTenantTransaction,
  { tenantId, metered, units }: Compared,
  now: Date,
): Promise<number> {
  const pending = await transaction.query<{ window_id: string; amount: number }>(
    `select window_id, amount::float8 as amount from ops.meter_windows
      where tenant_id = $1 and event_name = $2 and status = 'pending' order by created_at, window_id for update`,
    [tenantId, metered.event_name],
  );
  let rest = units;
  for (const { window_id: id, amount } of pending) {
    if (amount > rest) continue;
    rest -= amount;
    await transaction.query(
      `update ops.meter_windows set status = 'sent', reported_at = coalesce(reported_at, $3), sent_at = $3, error = 'found_at_stripe'
        where tenant_id = $1 and window_id = $2`,
      [tenantId, id, now],
    );
  }
  return rest;
}

/** Fills ended periods first. What is left was reported for the running one, whose use may still be on its way. */
function shareOut(units: number, ended: readonly Share[], running: Metered): Share[] {
  const shares: Share[] = [];
  let rest = units;
  for (const period of ended) {
    const amount = Math.min(rest, period.amount);
    if (amount > 0) shares.push({ ...period, amount });
    rest -= amount;
  }
  if (rest > 0)
    shares.push({ period_start: running.period_start, period_end: running.period_end, amount: rest });
  return shares;
}
