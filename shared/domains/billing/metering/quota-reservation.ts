import { randomUUID } from 'node:crypto';
import { recordset } from '../../../platform/db/recordset.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Call } from '../../../platform/call/call.ts';
import type { Quota, QuotaRequest } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { count } from '../../../platform/telemetry/metrics.ts';
import { ensureAllowances } from './adjust-allowances.ts';
import { resetDueAllowances } from './free-tier.ts';

interface Allowance {
  readonly [column: string]: unknown;
  readonly usage_type: string;
  readonly current_usage: number;
  readonly reserved: number;
  readonly usage_limit: number;
  readonly next_reset_at: string;
}

/** Whether a limit of the tenant's plan refuses what is beyond it. */
function hasQuota(call: Call): boolean {
  return call.context.hasQuota;
}

/** Storage is not reserved: its bytes are known only after archiving. A spent storage allowance refuses every write. */
const STORAGE = 'storage_gb';

/**
 * Reserves what a tenant is about to use of the hard limits of its plan: each request in full or not at all, in the given order.
 * The reservation is made in the billing database under a row lock, so that only one request gets the last unit. The usage event
 * turns the reservation into usage. Returns the refused requests, by reservation id. What the plan does not limit, or not hard,
 * needs no reservation.
 */
async function reserve(call: Call, wanted: readonly QuotaRequest[]): Promise<ReadonlyMap<string, Problem>> {
  if (!hasQuota(call) || wanted.length === 0) return new Map();
  const types = [
    ...new Set([STORAGE, ...wanted.flatMap((item) => item.usage.map((used) => used.usage_type))]),
  ];
  // Again after the rows are made or reset; both can happen on a tenant's first request of a period.
  for (let attempt = 1; ; attempt++) {
    const result = await call.databases.billing.transaction((transaction) =>
      reserveWithin(transaction, types, wanted, { now: call.now, isMade: attempt > 1 }),
    );
    if (result.state === 'done') return result.refused;
    if (attempt === 3) throw new Error('the allowances are still due after two resets');
    await ensureAllowances(call.services.crossTenant.billing, call.context, call.now);
    await resetDueAllowances(call.services.crossTenant.billing, call.now, {
      tenantId: call.principal.tenantId,
    });
  }
}

/** The rest of an allowance. Of several allowances of one type (by day and by month), the smallest rest counts. */
function leftOf(row: Allowance): number {
  return row.usage_limit - row.current_usage - row.reserved;
}

const RESERVATIONS = recordset({ reservation_id: 'uuid', usage_type: 'text', amount: 'numeric' });

type Attempt = { state: 'done'; refused: ReadonlyMap<string, Problem> } | { state: 'due' };

async function reserveWithin(
  transaction: TenantTransaction,
  types: readonly string[],
  wanted: readonly QuotaRequest[],
  { now, isMade }: { readonly now: Date; readonly isMade: boolean },
): Promise<Attempt> {
  const rows = await transaction.query<Allowance>(
    `select usage_type, current_usage::float8, reserved::float8, usage_limit::float8, next_reset_at
       from free_tier_usage
      where tenant_id = $1 and user_id = '' and usage_type = any($2::text[]) and mode = 'hard'
      order by usage_type, reset_period for update`,
    [transaction.tenantId, types],
  );
  const scarcest = new Map<string, Allowance>();
  for (const row of rows) {
    const other = scarcest.get(row.usage_type);
    if (other === undefined || leftOf(row) < leftOf(other)) scarcest.set(row.usage_type, row);
  }
  // Without any row, they may not be made yet. Once they are, a type without a row has no hard limit.
  if ((rows.length === 0 && !isMade) || rows.some((row) => Date.parse(row.next_reset_at) <= now.getTime()))
    return { state: 'due' };
  const left = new Map([...scarcest.values()].map((row) => [row.usage_type, leftOf(row)]));
  const restOf = (usageType: string): number => left.get(usageType) ?? Infinity;
  const refused = new Map<string, Problem>();
  const reservations: { reservation_id: string; usage_type: string; amount: number }[] = [];
  for (const item of wanted) {
    const spent =
      restOf(STORAGE) <= 0
        ? STORAGE
        : item.usage.find((used) => restOf(used.usage_type) < used.usage_amount)?.usage_type;
    if (spent !== undefined) {
      refused.set(item.reservationId, quotaExceeded(spent, scarcest.get(spent)?.next_reset_at, now));
      continue;
    }
    for (const used of item.usage) {
      if (!scarcest.has(used.usage_type)) continue;
      left.set(used.usage_type, restOf(used.usage_type) - used.usage_amount);
      reservations.push({
        reservation_id: item.reservationId,
        usage_type: used.usage_type,
        amount: used.usage_amount,
      });
    }
  }
  if (reservations.length > 0) {
    await transaction.query(
      `with wanted as materialized (
         select * from ${RESERVATIONS.from('w', 3)}),
       kept as (
         insert into ops.usage_reservations (tenant_id, reservation_id, usage_type, amount, created_at)
         select $1, reservation_id, usage_type, amount, $2 from wanted)
       update free_tier_usage f set reserved = f.reserved + t.amount, updated_at = $2
         from (select usage_type, sum(amount) as amount from wanted group by usage_type) t
        where f.tenant_id = $1 and f.user_id = '' and f.usage_type = t.usage_type`,
      [transaction.tenantId, now, ...RESERVATIONS.parameters(reservations)],
    );
  }
  return { state: 'done', refused };
}

function quotaExceeded(usageType: string, resetsAt: string | undefined, now: Date): Problem {
  count('quota_refusals_total', { usage_type: usageType });
  const seconds =
    resetsAt === undefined ? 1 : Math.max(1, Math.ceil((Date.parse(resetsAt) - now.getTime()) / 1000));
  return new Problem('QUOTA_EXCEEDED', {
    detail: `The plan’s allowance of ${usageType} is spent until ${resetsAt ?? 'its reset'}.`,
    headers: { 'retry-after': String(seconds) },
    members: { usage_type: usageType, resets_at: resetsAt },
  });
}

/**
 * Reserves for one write that leaves no row with the reservation's id. The id is a random UUID (version 4); a request's id
 * has version 7. So the sweep of abandoned reservations knows that it cannot find a row.
 */
async function reserveOne(
  call: Call,
  usage: QuotaRequest['usage'],
): Promise<{ readonly reservationId: string | undefined } | { readonly problem: Problem }> {
  if (!hasQuota(call)) return { reservationId: undefined };
  const reservationId = randomUUID();
  const problem = (await reserve(call, [{ reservationId, usage }])).get(reservationId);
  return problem === undefined ? { reservationId } : { problem };
}

/**
 * Releases the reservations of writes that did not happen. Best effort: after a failure, the reset timer finds the
 * abandoned reservation and releases it.
 */
async function release(call: Call, reservationIds: readonly string[]): Promise<void> {
  if (reservationIds.length === 0 || !hasQuota(call)) return;
  try {
    const { billing } = call.databases;
    await billing.transaction((transaction) =>
      transaction.query(
        // All code locks the allowances first and in this order: with another order, two transactions could deadlock.
        `with held as materialized (
             select 1 from free_tier_usage f where f.tenant_id = $1 and f.user_id = ''
              order by f.usage_type, f.reset_period for update)
         , gone as (
             delete from ops.usage_reservations r
              where r.tenant_id = $1 and r.reservation_id = any($2::uuid[]) and (select count(*) from held) >= 0
             returning r.usage_type, r.amount)
         update free_tier_usage f set reserved = greatest(0, f.reserved - g.amount)
           from (select usage_type, sum(amount) as amount from gone group by usage_type) g
          where f.tenant_id = $1 and f.user_id = '' and f.usage_type = g.usage_type`,
        [call.principal.tenantId, reservationIds],
      ),
    );
  } catch (error) {
    log.warn('reservations-not-released', { ...errorFields(error), reservations: reservationIds.length });
  }
}

/** The quota of plans with hard limits, kept in the billing database. */
export const freeTierQuota: Quota = { limits: hasQuota, reserve, reserveOne, release };
