import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import { liveSql } from '../subscriptions/live-states.ts';
import { refusalOf } from './window-time.ts';
import type { Queries } from './plan-of-tenant.ts';

/** Rows that get their windows in one transaction. It locks them, and batches of usage wait for it. */
const PAGE = 200;

/** Billable use that no window has yet. */
interface Unreported {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly usage_type: string;
  readonly period_start: string;
  readonly period_end: string;
  /** Whole units, as text. */
  readonly amount: string;
  readonly event_name: string;
  readonly meter_id: string | null;
  readonly is_live: boolean;
}

/** Where the last page of the running periods ended. */
interface Place {
  readonly tenant_id: string;
  readonly usage_type: string;
}

const WINDOWS = recordset({
  tenant_id: 'text',
  window_id: 'uuid',
  usage_type: 'text',
  period_start: 'timestamptz',
  period_end: 'timestamptz',
  amount: 'bigint',
  event_name: 'text',
  meter_id: 'text',
  status: 'text',
  error: 'text',
});

/** Only what Stripe can charge: the plan has a meter of it, and the tenant is a customer. `r` is the row with the use. */
const CHARGEABLE = `join billing_plans p on p.plan_id = r.plan_id and p.stripe_meters -> r.usage_type ->> 'event_name' is not null
  join ops.stripe_customers c on c.tenant_id = r.tenant_id and c.stripe_customer_id is not null`;
const METER = `p.stripe_meters -> r.usage_type ->> 'event_name' as event_name,
  p.stripe_meters -> r.usage_type ->> 'meter_id' as meter_id`;
/** A subscription that Stripe will send another invoice for. */
const IS_LIVE = `exists (select from user_subscriptions s
  where s.tenant_id = r.tenant_id and ${liveSql('s')} and s.stripe_subscription_id is not null) as is_live`;

// Whole units, rounded down: what is reported is never more than what was used. The rest is in the sum, and goes into the next window.
const RUNNING = (condition: string, order: string): string => `
select r.tenant_id, r.usage_type, r.last_reset_at as period_start, r.next_reset_at as period_end,
       floor(r.current_usage - r.usage_limit - r.reported)::bigint::text as amount, ${METER}, ${IS_LIVE}
  from free_tier_usage r ${CHARGEABLE}
 where r.mode = 'metered' and r.user_id = '' and r.current_usage >= r.usage_limit + r.reported + 1 and ${condition}
 ${order} for update of r`;

const ENDED = `
select r.tenant_id, r.usage_type, r.period_start, r.period_end,
       floor(r.used - r.usage_limit - r.reported)::bigint::text as amount, ${METER}, ${IS_LIVE}
  from ops.free_tier_periods r ${CHARGEABLE}
 where r.mode = 'metered' and r.user_id = '' and r.used >= r.usage_limit + r.reported + 1
   and (r.tenant_id, r.usage_type, r.period_start) > ($1, $2, $3::timestamptz)
 order by r.tenant_id, r.usage_type, r.period_start limit ${PAGE} for update of r`;

/**
 * Opens the windows of all billable use that has none yet, of running and of ended periods. A window and the sum of what is
 * reported are one transaction, under the lock of the row with the use: so windows add up to it, whatever dies when.
 * Returns how many were opened.
 */
export async function openWindows(
  database: CrossTenantDatabase,
  now: Date,
  goOn: () => boolean,
): Promise<number> {
  let opened = 0;
  let place: Place | undefined = { tenant_id: '', usage_type: '' };
  while (place !== undefined && goOn()) {
    const { tenant_id, usage_type }: Place = place;
    const rows: Unreported[] = await inBatch(database, async (transaction) => {
      const found = await transaction.query<Unreported>(
        RUNNING('(r.tenant_id, r.usage_type) > ($1, $2)', `order by r.tenant_id, r.usage_type limit ${PAGE}`),
        [tenant_id, usage_type],
      );
      await keep(transaction, found, 'running', now);
      return found;
    });
    opened += rows.length;
    place = rows.length < PAGE ? undefined : rows.at(-1);
  }
  return opened + (await openEnded(database, now, goOn));
}

async function openEnded(database: CrossTenantDatabase, now: Date, goOn: () => boolean): Promise<number> {
  let opened = 0;
  let after: readonly [string, string, string] = ['', '', '-infinity'];
  while (goOn()) {
    const from = after;
    const rows = await inBatch(database, async (transaction) => {
      const found = await transaction.query<Unreported>(ENDED, from);
      await keep(transaction, found, 'ended', now);
      return found;
    });
    opened += rows.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) break;
    after = [last.tenant_id, last.usage_type, last.period_start];
  }
  return opened;
}

/** The same for one tenant's running periods, in the transaction of a change of its plan. */
export async function openWindowsOf(transaction: Queries, tenantId: string, now: Date): Promise<void> {
  const rows = await transaction.query<Unreported>(RUNNING('r.tenant_id = $1', 'order by r.usage_type'), [
    tenantId,
  ]);
  await keep(transaction, rows, 'running', now);
}

async function keep(
  transaction: Queries,
  rows: readonly Unreported[],
  of: 'running' | 'ended',
  now: Date,
): Promise<void> {
  if (rows.length === 0) return;
  const windows = rows.map((row) => {
    const error = refusalOf(row, row.is_live, now);
    return {
      ...row,
      window_id: newId(now),
      status: error === undefined ? 'pending' : 'refused',
      error,
    };
  });
  const [table, used] =
    of === 'running'
      ? [`free_tier_usage r`, `r.reset_period = 'monthly' and r.last_reset_at = w.period_start`]
      : [`ops.free_tier_periods r`, `r.reset_period = 'monthly' and r.period_start = w.period_start`];
  await transaction.query(
    `with w as materialized (
       select * from ${WINDOWS.from('w', 2)}),
     kept as (
       insert into ops.meter_windows (tenant_id, window_id, usage_type, period_start, period_end, amount, event_name, meter_id,
         status, error, created_at)
       select w.*, $1 from w)
     update ${table} set reported = r.reported + w.amount
       from w where r.tenant_id = w.tenant_id and r.user_id = '' and r.usage_type = w.usage_type and ${used}`,
    [now, ...WINDOWS.parameters(windows)],
  );
}
