import { newEvent, USAGE_THRESHOLD_REACHED, type UsageThresholdData } from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import { newEntry } from '../../../platform/writes/outbox.ts';
import type { ResetPeriod } from '../plans/plan.ts';
import type { AllowanceMode, Queries } from './plan-of-tenant.ts';

/** Percent of a limit whose use is told. */
const THRESHOLDS = [80, 100] as const;

/** A change of an allowance's usage. */
export interface UsageChange {
  readonly tenant_id: string;
  /** Empty for the whole tenant. */
  readonly user_id: string;
  readonly usage_type: string;
  readonly reset_period: ResetPeriod;
  readonly mode: AllowanceMode;
  readonly last_reset_at: string;
  readonly next_reset_at: string;
  readonly before: number;
  readonly after: number;
  readonly limit: number;
}

const REACHED = recordset({
  tenant_id: 'text',
  user_id: 'text',
  usage_type: 'text',
  reset_period: 'text',
  period_start: 'timestamptz',
  threshold: 'smallint',
});

type ReachedKey = Pick<UsageChange, 'tenant_id' | 'user_id' | 'usage_type' | 'reset_period'> & {
  readonly threshold: number;
};

const keyOf = (key: ReachedKey): string =>
  JSON.stringify([key.tenant_id, key.user_id, key.usage_type, key.reset_period, key.threshold]);

/**
 * Writes down which thresholds these changes reach, each once a period, and makes their events. The caller adds the entries to
 * the outbox in the same transaction. Changes that reach none cost no statement.
 */
export async function raiseThresholds(
  transaction: Queries,
  changes: readonly UsageChange[],
  now: Date,
): Promise<OutboxEntry[]> {
  const reached = changes.flatMap((change) =>
    THRESHOLDS.filter((percent) => isReached(change, percent)).map((threshold) => ({ change, threshold })),
  );
  if (reached.length === 0) return [];
  const rows = reached.map(({ change, threshold }) => ({
    tenant_id: change.tenant_id,
    user_id: change.user_id,
    usage_type: change.usage_type,
    reset_period: change.reset_period,
    period_start: change.last_reset_at,
    threshold,
  }));
  const added = await transaction.query<ReachedKey & Record<string, unknown>>(
    `insert into ops.usage_thresholds
       (tenant_id, user_id, usage_type, reset_period, period_start, threshold, reached_at)
     select t.*, $1 from ${REACHED.from('t', 2)} on conflict do nothing
     returning tenant_id, user_id, usage_type, reset_period, threshold`,
    [now, ...REACHED.parameters(rows)],
  );
  const isNew = new Set(added.map(keyOf));
  return reached
    .filter(({ change, threshold }) => isNew.has(keyOf({ ...change, threshold })))
    .map(({ change, threshold }) => entryOf(change, threshold, now));
}

function isReached({ mode, before, after, limit }: UsageChange, percent: number): boolean {
  const bound = (limit * percent) / 100;
  return mode !== 'none' && before < bound && after >= bound;
}

function entryOf(change: UsageChange, threshold: number, now: Date): OutboxEntry {
  const data: UsageThresholdData = {
    tenant_id: change.tenant_id,
    ...(change.user_id === '' ? {} : { user_id: change.user_id }),
    usage_type: change.usage_type,
    reset_period: change.reset_period,
    mode: change.mode === 'none' ? 'soft' : change.mode,
    threshold_percent: threshold,
    used: change.after,
    limit: change.limit,
    period_start: new Date(change.last_reset_at).toISOString(),
    period_end: new Date(change.next_reset_at).toISOString(),
  };
  return newEntry('billing', change.tenant_id, [newEvent(USAGE_THRESHOLD_REACHED, data, now)], now);
}
