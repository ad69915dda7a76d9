import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { recordset, type RecordsetRow } from '../../../platform/db/recordset.ts';
import { planLimits, PLAN_LIMITS_COLUMNS, type ResetPeriod } from '../plans/plan.ts';
import { periodsSince } from './periods.ts';
import {
  allowanceKey,
  allowancesOf,
  type AllowanceMode,
  type PlanAllowance,
  type Queries,
} from './plan-of-tenant.ts';

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
  mode: 'text',
  plan_id: 'text',
  reported: 'numeric',
} as const;
const RUNNING_COLUMNS = {
  ...ALLOWANCE_KEY,
  started_at: 'timestamptz',
  ends_at: 'timestamptz',
  usage_limit: 'numeric',
  mode: 'text',
} as const;
const ENDED = recordset(ENDED_COLUMNS);
const RUNNING = recordset(RUNNING_COLUMNS);

interface DueAllowance {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly usage_type: string;
  readonly reset_period: ResetPeriod;
  readonly anchor_date: string;
  /** Null: midnight of `anchor_date`. */
  readonly anchor_at: string | null;
  /** A numeric as text, so that it is not rounded here. */
  readonly current_usage: string;
  readonly usage_limit: string;
  readonly reported: string;
  readonly mode: AllowanceMode;
  readonly plan_id: string | null;
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

/** Resets a tenant's due allowances in the caller's transaction, and locks them. */
export async function resetTenant(transaction: Queries, tenantId: string, now: Date): Promise<void> {
  while ((await resetBatch(transaction, now, tenantId)) === BATCH);
}

async function resetBatch(transaction: Queries, now: Date, tenantId: string | undefined): Promise<number> {
  // The timer skips locked rows; a request waits for them, since it needs them.
  // The timer reads in the order of the due time: any other order would read all allowances. It never waits, so its lock
  // order cannot cause a deadlock.
  const [condition, order, locking] =
    tenantId === undefined
      ? ['$2::text is null', 'next_reset_at', 'skip locked']
      : ['tenant_id = $2', 'tenant_id, user_id, usage_type, reset_period', ''];
  const due = await transaction.query<DueAllowance>(
    `select tenant_id, user_id, usage_type, reset_period, anchor_date, anchor_at, current_usage, usage_limit,
            reported, mode, plan_id, last_reset_at, next_reset_at
       from free_tier_usage where next_reset_at <= $1 and ${condition}
      order by ${order} limit ${BATCH} for update ${locking}`,
    [now, tenantId ?? null],
  );
  if (due.length === 0) return 0;
  const plans = await plansOf(transaction, due);
  const changes = due.map((row) => changeOf(row, plans, now));
  await transaction.query(
    `with ended as (
       insert into ops.free_tier_periods (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit,
         mode, plan_id, reported)
       select * from ${ENDED.from('e', 2)}
       on conflict (tenant_id, user_id, usage_type, reset_period, period_start) do nothing)
     update free_tier_usage f
        set current_usage = 0, reported = 0, last_reset_at = r.started_at, next_reset_at = r.ends_at,
            usage_limit = r.usage_limit, mode = r.mode, updated_at = $1, version = f.version + 1
       from ${RUNNING.from('r', 13)}
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

/** What the plans of some rows give now, by plan. An operator's edit of a limit applies from the next period on. */
async function plansOf(
  transaction: Queries,
  rows: readonly DueAllowance[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, PlanAllowance>>> {
  const ids = [...new Set(rows.flatMap(({ plan_id }) => (plan_id === null ? [] : [plan_id])))];
  if (ids.length === 0) return new Map();
  const plans = await transaction.query(
    `select ${PLAN_LIMITS_COLUMNS} from billing_plans where plan_id = any($1::text[])`,
    [ids],
  );
  return new Map(
    plans.map((row) => {
      const plan = planLimits.parse(row);
      return [plan.plan_id, new Map(allowancesOf(plan).map((given) => [allowanceKey(given), given]))];
    }),
  );
}

/** One allowance's change: the periods that ended, and the running one. */
function changeOf(
  row: DueAllowance,
  plans: ReadonlyMap<string, ReadonlyMap<string, PlanAllowance>>,
  now: Date,
): { ended: RecordsetRow<typeof ENDED_COLUMNS>[]; running: RecordsetRow<typeof RUNNING_COLUMNS> } {
  const { tenant_id, user_id, usage_type, reset_period, usage_limit, mode, plan_id, reported } = row;
  const key = { tenant_id, user_id, usage_type, reset_period };
  const anchor = row.anchor_at ?? row.anchor_date;
  const { missed, running } = periodsSince(anchor, reset_period, new Date(row.next_reset_at), now);
  const used = {
    period_start: row.last_reset_at,
    period_end: row.next_reset_at,
    used: row.current_usage,
    reported,
  };
  const unused = missed.map(({ start, end }) => ({
    period_start: start,
    period_end: end,
    used: 0,
    reported: 0,
  }));
  const plan = plan_id === null ? undefined : plans.get(plan_id);
  const given = plan?.get(
    allowanceKey({ usage_type, reset_period, per: user_id === '' ? 'tenant' : 'user' }),
  );
  const none = plan === undefined ? mode : 'none';
  return {
    ended: [used, ...unused].map((period) => ({ ...key, ...period, usage_limit, mode, plan_id })),
    running: {
      ...key,
      started_at: running.start,
      ends_at: running.end,
      usage_limit: given?.limit ?? usage_limit,
      mode: given?.mode ?? none,
    },
  };
}

/** How many allowances should have been reset before a time and were not. */
export async function countOverdueAllowances(database: CrossTenantDatabase, before: Date): Promise<number> {
  const [row] = await database.query<{ overdue: number }>(
    'select count(*) as overdue from free_tier_usage where next_reset_at < $1',
    [before],
  );
  return row?.overdue ?? 0;
}
