import type { Call } from '../../../platform/call/call.ts';
import { fingerprintOf } from '../../../platform/call/idempotency-key.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import type { PlanOffer } from '../plans/plan-offer.ts';
import type { Promotion, Refusal } from '../promotions/promotion.ts';
import { releaseUse, reserveUse } from '../promotions/redemption.ts';

/** What a tenant wants to buy, and where the page leads. */
export interface Wish {
  readonly plan: PlanOffer;
  readonly promotionalCode: string | undefined;
  /** The plan's trial, for a tenant that has not had one. */
  readonly trialDays: number;
  readonly successUrl: string;
  readonly cancelUrl: string;
}

/** The tenant's one open checkout. */
export interface OpenCheckout {
  readonly checkoutId: string;
  /** Null until Stripe's session is known. */
  readonly stripeSessionId: string | null;
  readonly createdAt: string;
  /** Whether it is for this wish. */
  readonly isSame: boolean;
  /** The code's promotion, where the checkout is for this wish and names a code. */
  readonly promotion: Promotion | undefined;
}

interface CheckoutRow {
  readonly [column: string]: unknown;
  readonly checkout_id: string;
  readonly stripe_session_id: string | null;
  readonly created_at: string;
  readonly wish: Buffer | null;
}

const COLUMNS = 'checkout_id, stripe_session_id, created_at, wish';

/**
 * Opens a checkout for a wish, and reserves the use of its code; or returns the open one, which is for this wish or another.
 * @throws Problem 400 or 409 if the code cannot be used.
 */
export function openCheckout(call: Call, wish: Wish): Promise<OpenCheckout> {
  const hash = fingerprintOf(wish);
  return call.databases.billing.transaction(async (transaction) => {
    const row = (await insertRow(call, transaction, wish, hash)) ?? (await findOpenRow(transaction));
    if (row === undefined) throw new Overtaken();
    const isSame = row.wish !== null && hash.equals(row.wish);
    return {
      checkoutId: row.checkout_id,
      stripeSessionId: row.stripe_session_id,
      createdAt: row.created_at,
      isSame,
      promotion: isSame ? await reserveCode(call, transaction, wish, row.checkout_id) : undefined,
    };
  });
}

async function insertRow(
  call: Call,
  transaction: TenantTransaction,
  { plan, promotionalCode }: Wish,
  hash: Buffer,
): Promise<CheckoutRow | undefined> {
  const [row] = await transaction.query<CheckoutRow>(
    `insert into ops.checkout_sessions
       (tenant_id, checkout_id, plan_id, billing_cycle, promotional_code, wish, status, created_at)
     values ($1, $2, $3, $4, $5, $6, 'open', $7)
     on conflict (tenant_id) where status = 'open' do nothing returning ${COLUMNS}`,
    [
      transaction.tenantId,
      newId(call.now),
      plan.planId,
      plan.billingCycle,
      promotionalCode ?? null,
      hash,
      call.now,
    ],
  );
  return row;
}

async function findOpenRow(transaction: TenantTransaction): Promise<CheckoutRow | undefined> {
  const [row] = await transaction.query<CheckoutRow>(
    `select ${COLUMNS} from ops.checkout_sessions where tenant_id = $1 and status = 'open'`,
    [transaction.tenantId],
  );
  return row;
}

const REFUSED: Readonly<Record<Refusal, string>> = {
  unknown: 'There is no such promotional code.',
  inactive: 'The promotional code is no longer valid.',
  already_used: 'The promotional code was already used.',
  not_yet_valid: 'The promotional code is not valid yet.',
  expired: 'The promotional code has expired.',
  not_for_this_plan: 'The promotional code is not for this plan.',
  used_up: 'The promotional code is used up.',
};

async function reserveCode(
  call: Call,
  transaction: TenantTransaction,
  { plan, promotionalCode: code }: Wish,
  checkoutId: string,
): Promise<Promotion | undefined> {
  if (code === undefined) return undefined;
  const { tenantId } = transaction;
  const reserved = await reserveUse(
    transaction,
    { tenantId, code, planId: plan.planId, checkoutId },
    call.now,
  );
  if ('promotion' in reserved) return reserved.promotion;
  const detail = REFUSED[reserved.refusal];
  throw reserved.refusal === 'unknown'
    ? new Problem('INVALID_REQUEST', { errors: [{ pointer: '/promotional_code', detail }] })
    : new Problem('CONFLICT', { detail });
}

/**
 * Ends a checkout that leads to no subscription, and gives back the use of its code. Only if its session is still the one that the
 * caller has seen, or still unknown: another request may have given out its page since. Safe to repeat.
 */
export async function closeCheckout(
  call: Call,
  { checkoutId, stripeSessionId }: Pick<OpenCheckout, 'checkoutId' | 'stripeSessionId'>,
): Promise<void> {
  await call.databases.billing.transaction(async (transaction) => {
    const { tenantId } = transaction;
    const closed = await transaction.query(
      `update ops.checkout_sessions set status = 'expired'
        where tenant_id = $1 and checkout_id = $2 and status = 'open' and stripe_session_id is not distinct from $3
        returning checkout_id`,
      [tenantId, checkoutId, stripeSessionId],
    );
    if (closed.length > 0) await releaseUse(transaction, { tenantId, checkoutId }, call.now);
  });
}

/** Keeps the session of a checkout. Returns false if the checkout is no longer open: its page must not be given to anyone. */
export async function keepSession(
  transaction: TenantTransaction,
  checkoutId: string,
  session: { readonly id: string; readonly expires_at: number },
): Promise<boolean> {
  const kept = await transaction.query(
    `update ops.checkout_sessions set stripe_session_id = $3, expires_at = $4
      where tenant_id = $1 and checkout_id = $2 and status = 'open' returning checkout_id`,
    [transaction.tenantId, checkoutId, session.id, new Date(session.expires_at * 1000)],
  );
  return kept.length > 0;
}

/** The refusal of a checkout that another one of the same tenant has overtaken. */
export class Overtaken extends Problem {
  constructor() {
    super('CONFLICT', {
      detail: 'Another checkout of this tenant was begun at the same time. Send this one again.',
      headers: { 'retry-after': '1' },
    });
  }
}
