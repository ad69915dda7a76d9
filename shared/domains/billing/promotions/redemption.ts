import type { CrossTenantDatabase, TenantTransaction } from '../../../platform/db/tenant-database.ts';
import {
  codeOf,
  PROMOTION_COLUMNS,
  promotionRow,
  refusalOf,
  useRow,
  type PromotedPlan,
  type Promotion,
  type Refusal,
  type Use,
} from './promotion.ts';

/** A transaction of the tenant, or of the cross-tenant role. */
type Queries = Pick<TenantTransaction, 'query'>;

/** A checkout that wants to use a code. */
export interface WantedUse {
  readonly tenantId: string;
  /** As it was typed. */
  readonly code: string;
  readonly planId: string;
  /** Our id of the checkout, not Stripe's. */
  readonly checkoutId: string;
  readonly userId?: string;
}

/** A reserved use, or why there is none. */
export type Reservation = { readonly promotion: Promotion } | { readonly refusal: Refusal };

/**
 * Reserves one use of a code for a checkout. A repetition for the same checkout changes nothing. Another checkout of the same tenant
 * takes over the tenant's reservation: it is the same use. The code's row stays locked until the transaction ends, so the
 * transaction must not wait for Stripe.
 */
export async function reserveUse(
  transaction: Queries,
  { tenantId, code: typed, planId, checkoutId, userId = '' }: WantedUse,
  now: Date,
): Promise<Reservation> {
  const code = codeOf(typed);
  const promotion = code === undefined ? undefined : await lockCode(transaction, code);
  if (promotion === undefined) return { refusal: 'unknown' };
  // After the lock: it shows what the holder before us has written.
  const [use, plan] = await Promise.all([
    findUse(transaction, tenantId, promotion.code),
    findPlan(transaction, planId),
  ]);
  const refusal = refusalOf(promotion, plan, use, now);
  if (refusal !== undefined) return { refusal };
  if (use === undefined) await count(transaction, promotion.code, 1, now);
  await transaction.query(
    `insert into promotional_code_usage
       (tenant_id, code, user_id, status, checkout_session_id, reserved_at, created_at, updated_at)
     values ($1, $2, $3, 'reserved', $4, $5, $5, $5)
     on conflict (tenant_id, code) do update
       set user_id = excluded.user_id, checkout_session_id = excluded.checkout_session_id,
           reserved_at = excluded.reserved_at, updated_at = excluded.updated_at
     where promotional_code_usage.checkout_session_id is distinct from excluded.checkout_session_id`,
    [tenantId, promotion.code, userId, checkoutId, now],
  );
  return { promotion };
}

/** What a subscription has used. */
export interface SettledUse {
  readonly tenantId: string;
  readonly code: string;
  readonly subscriptionId: string;
  readonly discountApplied?: number;
  readonly currency?: string;
}

/**
 * A reserved use becomes used, because a subscription began with it. Safe to repeat. Without a reservation (it was given back
 * before this was known) the use is written all the same, because Stripe has given the discount. It is counted unless the code
 * is used up: the count never exceeds the maximum. An unknown code changes nothing. Returns whether there was a reservation or use.
 */
export async function settleUse(
  transaction: Queries,
  { tenantId, code: typed, subscriptionId, discountApplied, currency }: SettledUse,
  now: Date,
): Promise<boolean> {
  const code = codeOf(typed);
  if (code === undefined || (await lockCode(transaction, code)) === undefined) return false;
  const existing = await findUse(transaction, tenantId, code);
  if (existing === undefined)
    await transaction.query(
      `update promotional_codes set current_uses = current_uses + 1, updated_at = $2
        where code = $1 and (max_uses is null or current_uses < max_uses)`,
      [code, now],
    );
  await transaction.query(
    `insert into promotional_code_usage (tenant_id, code, subscription_id, status, reserved_at, used_at,
       discount_applied, currency, created_at, updated_at)
     values ($1, $2, $3, 'used', $6, $6, $4, $5, $6, $6)
     on conflict (tenant_id, code) do update
       set subscription_id = coalesce(promotional_code_usage.subscription_id, excluded.subscription_id), status = 'used',
           used_at = coalesce(promotional_code_usage.used_at, excluded.used_at),
           discount_applied = coalesce(excluded.discount_applied, promotional_code_usage.discount_applied),
           currency = coalesce(excluded.currency, promotional_code_usage.currency), updated_at = excluded.updated_at`,
    [tenantId, code, subscriptionId, discountApplied ?? null, currency?.toUpperCase() ?? null, now],
  );
  return existing !== undefined;
}

/**
 * Gives back the use that a checkout reserved, because it ended without a subscription. What is used stays used, and a reservation
 * that a later checkout took over stays that one's. Safe to repeat. Returns whether there was something to give back.
 */
export async function releaseUse(
  transaction: Queries,
  { tenantId, checkoutId }: Pick<WantedUse, 'tenantId' | 'checkoutId'>,
  now: Date,
): Promise<boolean> {
  const [reserved] = await transaction.query<{ code: string }>(
    `select code from promotional_code_usage
      where tenant_id = $1 and checkout_session_id = $2 and status = 'reserved'`,
    [tenantId, checkoutId],
  );
  // The lock of the code comes first everywhere, so that no two of these wait for each other.
  if (reserved === undefined || (await lockCode(transaction, reserved.code)) === undefined) return false;
  const given = await transaction.query(
    `delete from promotional_code_usage
      where tenant_id = $1 and code = $2 and checkout_session_id = $3 and status = 'reserved' returning code`,
    [tenantId, reserved.code, checkoutId],
  );
  if (given.length > 0) await count(transaction, reserved.code, -1, now);
  return given.length > 0;
}

/** Stripe ends a checkout after 24 h at the latest. The rest is for its last event to arrive. */
const ABANDONED_HOURS = 30;
const BATCH = 500;

/**
 * Gives back the uses of checkouts that ended without anyone telling us. A checkout that is complete keeps its use: its subscription
 * settles it. Returns how many were given back; at most 500 a call, the oldest first.
 */
export async function releaseAbandonedUses(database: CrossTenantDatabase, now: Date): Promise<number> {
  const abandoned = await database.query<{ tenant_id: string; checkout_session_id: string }>(
    `select u.tenant_id, u.checkout_session_id from promotional_code_usage u
      where u.status = 'reserved' and u.reserved_at < $1::timestamptz - make_interval(hours => $2::int)
        and not exists (select from ops.checkout_sessions s
                         where s.tenant_id = u.tenant_id and s.checkout_id::text = u.checkout_session_id
                           and (s.status = 'complete' or s.expires_at > $1))
      order by u.reserved_at limit $3`,
    [now, ABANDONED_HOURS, BATCH],
  );
  let released = 0;
  for (const { tenant_id: tenantId, checkout_session_id: checkoutId } of abandoned)
    if (await database.transaction((transaction) => releaseUse(transaction, { tenantId, checkoutId }, now)))
      released += 1;
  return released;
}

async function lockCode(transaction: Queries, code: string): Promise<Promotion | undefined> {
  const [row] = await transaction.query(
    `select ${PROMOTION_COLUMNS} from promotional_codes where code = $1 for update`,
    [code],
  );
  return row === undefined ? undefined : promotionRow.parse(row);
}

async function count(transaction: Queries, code: string, change: 1 | -1, now: Date): Promise<void> {
  await transaction.query(
    `update promotional_codes set current_uses = greatest(current_uses + $2::int, 0), updated_at = $3 where code = $1`,
    [code, change, now],
  );
}

async function findUse(transaction: Queries, tenantId: string, code: string): Promise<Use | undefined> {
  const [row] = await transaction.query(
    `select status, checkout_session_id from promotional_code_usage where tenant_id = $1 and code = $2`,
    [tenantId, code],
  );
  return row === undefined ? undefined : useRow.parse(row);
}

async function findPlan(transaction: Queries, planId: string): Promise<PromotedPlan | undefined> {
  const [plan] = await transaction.query<{ plan_id: string; plan_type: string; currency: string }>(
    `select plan_id, plan_type, currency from billing_plans where plan_id = $1 and is_active`,
    [planId],
  );
  return plan;
}
