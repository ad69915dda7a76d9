import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { recordset, type RecordsetRow } from '../../../platform/db/recordset.ts';
import { periodsSince, type ResetPeriod } from './periods.ts';

/** Makes a tenant's missing free allowances from the free plan's limits. Their anchor is the day on which they are made. */
export async function ensureAllowances(
  database: CrossTenantDatabase,
  tenantId: string,
  now: Date,
): Promise<void> {
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

/** Allowances reset in one transaction. It locks their rows, and requests that reserve wait for it. */
const BATCH = 500;

const ALLOWANCE_KEY = {
  tenant_id: 'text',
  user_id: 'text',
  usage_type: 'text',
  reset_period: 'text',
} as const;
const ENDED_COLUMNS = {
  ...ALLOWANCE_KEY,
  period_start: 'timestamptz',
  period_end: 'timestamptz',
  used: 'numeric',
  usage_limit: 'numeric',
} as const;
const RUNNING_COLUMNS = { ...ALLOWANCE_KEY, started_at: 'timestamptz', ends_at: 'timestamptz' } as const;
const ENDED = recordset(ENDED_COLUMNS);
const RUNNING = recordset(RUNNING_COLUMNS);

interface DueAllowance {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly usage_type: string;
  readonly reset_period: ResetPeriod;
  readonly anchor_date: string;
  /** A numeric as text, so that it is not rounded here. */
  readonly current_usage: string;
  readonly usage_limit: string;
  readonly last_reset_at: string;
  readonly next_reset_at: string;
}

/** Which allowances are reset, and for how long. */
export interface ResetOptions {
  /** Only this tenant's allowances: its request waits for the reset. */
  readonly tenantId?: string;
  /** Called between batches; false ends the work early. */
  readonly goOn?: () => boolean;
}

/**
 * Resets each allowance that is due, and writes a row for every period that ended: the running one with its usage, missed
 * ones with none. It is safe to repeat, also from several places at once. Reservations stay: their usage is still to come.
 * Returns how many allowances were reset.
 */
export async function resetDueAllowances(
  database: CrossTenantDatabase,
  now: Date,
  options: ResetOptions = {},
): Promise<number> {
  let reset = 0;
  do {
    const batch = await database.transaction((transaction) => resetBatch(transaction, now, options.tenantId));
    reset += batch;
    if (batch < BATCH) break;
  } while (options.goOn?.() !== false);
  return reset;
}

async function resetBatch(
  transaction: CrossTenantTransaction,
  now: Date,
  tenantId: string | undefined,
): Promise<number> {
  // The timer skips locked rows; a request waits for them, since it needs them.
  // The timer reads in the order of the due time: any other order would read all allowances. It never waits, so its lock
  // order cannot cause a deadlock.
  const [condition, order, locking] =
    tenantId === undefined
      ? ['$2::text is null', 'next_reset_at', 'skip locked']
      : ['tenant_id = $2', 'tenant_id, user_id, usage_type, reset_period', ''];
  const due = await transaction.query<DueAllowance>(
    `select tenant_id, user_id, usage_type, reset_period, anchor_date, current_usage, usage_limit, last_reset_at,
            next_reset_at
       from free_tier_usage where next_reset_at <= $1 and ${condition}
      order by ${order} limit ${BATCH} for update ${locking}`,
    [now, tenantId ?? null],
  );
  if (due.length === 0) return 0;
  const changes = due.map((row) => changeOf(row, now));
  await transaction.query(
    `with ended as (
       insert into ops.free_tier_periods (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit)
       select * from ${ENDED.from('e', 2)}
       on conflict (tenant_id, user_id, usage_type, reset_period, period_start) do nothing)
     update free_tier_usage f
        set current_usage = 0, last_reset_at = r.started_at, next_reset_at = r.ends_at, updated_at = $1,
            version = f.version + 1
       from ${RUNNING.from('r', 10)}
      where f.tenant_id = r.tenant_id and f.user_id = r.user_id and f.usage_type = r.usage_type
        and f.reset_period = r.reset_period`,
    [
      now,
      ...ENDED.parameters(changes.flatMap((change) => change.ended)),
      ...RUNNING.parameters(changes.map((change) => change.running)),
    ],
  );
  return due.length;
}

/** One allowance's change: the periods that ended, and the running one. */
function changeOf(
  row: DueAllowance,
  now: Date,
): { ended: RecordsetRow<typeof ENDED_COLUMNS>[]; running: RecordsetRow<typeof RUNNING_COLUMNS> } {
  const { tenant_id, user_id, usage_type, reset_period, usage_limit } = row;
  const key = { tenant_id, user_id, usage_type, reset_period };
  const { missed, running } = periodsSince(row.anchor_date, reset_period, new Date(row.next_reset_at), now);
  const used = { period_start: row.last_reset_at, period_end: row.next_reset_at, used: row.current_usage };
  const unused = missed.map(({ start, end }) => ({ period_start: start, period_end: end, used: 0 }));
  return {
    ended: [used, ...unused].map((period) => ({ ...key, ...period, usage_limit })),
    running: { ...key, started_at: running.start, ends_at: running.end },
  };
}
