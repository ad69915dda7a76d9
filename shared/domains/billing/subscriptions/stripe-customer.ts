import type Stripe from 'stripe';
import type { Call } from '../../../platform/call/call.ts';
import { onceAtStripe } from '../stripe/ask-stripe.ts';

const MINUTE_MS = 60_000;
/** Stripe keeps an Idempotency-Key for at least 24 hours. The rest is for requests on their way. */
const KEY_KEPT_MS = 23 * 60 * MINUTE_MS;
/** How far Stripe's clock and ours may differ, with the time of a request. */
const CLOCK_MARGIN_MS = 10 * MINUTE_MS;

/** The attempts to make a tenant's customer, before this one. */
interface Attempts {
  readonly [column: string]: unknown;
  readonly stripe_customer_id: string | null;
  readonly first_attempt_at: string | null;
  readonly last_attempt_at: string | null;
}

/** The tenant's customer at Stripe; undefined if it has none yet. */
async function findCustomer(call: Call): Promise<string | undefined> {
  const [row] = await call.databases.billing.statement<{ stripe_customer_id: string }>(
    `select c.* from scope, lateral (select stripe_customer_id from ops.stripe_customers
       where tenant_id = scope.tenant_id and stripe_customer_id is not null offset 0) c`,
  );
  return row?.stripe_customer_id;
}

/**
 * The tenant's customer at Stripe, made if there is none. A tenant has one, whatever races or dies: all attempts have the same
 * Idempotency-Key. Where Stripe may have forgotten the key of a lost attempt, the customer is looked for first. No database
 * connection waits for Stripe.
 */
export async function ensureCustomer(call: Call, stripe: Stripe): Promise<string> {
  const known = await findCustomer(call);
  if (known !== undefined) return known;
  const before = await noteAttempt(call);
  if (before.stripe_customer_id !== null) return before.stripe_customer_id;
  const lost = isForgotten(call, before) ? await findLost(call, stripe, before) : undefined;
  return keepCustomer(call, lost ?? (await makeCustomer(call, stripe)));
}

/** Notes that a customer is about to be made, and returns what was noted before. */
async function noteAttempt(call: Call): Promise<Attempts> {
  return call.databases.billing.transaction(async (transaction) => {
    const { tenantId } = transaction;
    await transaction.query(
      `insert into ops.stripe_customers (tenant_id, created_at, updated_at) values ($1, $2, $2)
       on conflict (tenant_id) do nothing`,
      [tenantId, call.now],
    );
    const [before] = await transaction.query<Attempts>(
      `select stripe_customer_id, first_attempt_at, last_attempt_at from ops.stripe_customers
        where tenant_id = $1 for update`,
      [tenantId],
    );
    if (before === undefined) throw new Error('the row of a customer is gone');
    if (before.stripe_customer_id !== null) return before;
    // The look-up of a lost customer must succeed before a new first attempt replaces the old one.
    await transaction.query(
      `update ops.stripe_customers
          set first_attempt_at = coalesce(first_attempt_at, $2), updated_at = $2,
              last_attempt_at = case when $3 then last_attempt_at else $2 end
        where tenant_id = $1`,
      [tenantId, call.now, isForgotten(call, before)],
    );
    return before;
  });
}

function isForgotten(call: Call, { first_attempt_at: first }: Attempts): boolean {
  return first !== null && Date.parse(first) + KEY_KEPT_MS < call.now.getTime();
}

/**
 * Finds the customer that an earlier attempt made and whose id was lost, among those of the time of the attempts. Without one, a new
 * first attempt begins.
 */
async function findLost(call: Call, stripe: Stripe, before: Attempts): Promise<string | undefined> {
  const seconds = (at: string | null, margin: number): number =>
    Math.floor((Date.parse(at ?? call.now.toISOString()) + margin) / 1000);
  const created = {
    gte: seconds(before.first_attempt_at, -CLOCK_MARGIN_MS),
    lte: seconds(before.last_attempt_at ?? before.first_attempt_at, CLOCK_MARGIN_MS),
  };
  const { tenantId } = call.tenant;
  for await (const customer of stripe.customers.list({ created, limit: 100 }))
    if (customer.metadata['tenant_id'] === tenantId) return customer.id;
  await call.databases.billing.transaction((transaction) =>
    transaction.query(
      `update ops.stripe_customers set first_attempt_at = $2, last_attempt_at = $2, updated_at = $2
        where tenant_id = $1 and first_attempt_at = $3::timestamptz`,
      [tenantId, call.now, before.first_attempt_at],
    ),
  );
  return undefined;
}

/** The parameters must never differ: Stripe refuses a key with others. */
async function makeCustomer(call: Call, stripe: Stripe): Promise<string> {
  const { tenantId } = call.tenant;
  const { id } = await onceAtStripe(() =>
    stripe.customers.create(
      { name: tenantId, metadata: { tenant_id: tenantId } },
      { idempotencyKey: `customer:${tenantId}` },
    ),
  );
  return id;
}

/** Keeps the customer's id. The first one counts. */
async function keepCustomer(call: Call, customerId: string): Promise<string> {
  const [row] = await call.databases.billing.transaction((transaction) =>
    transaction.query<{ stripe_customer_id: string }>(
      `update ops.stripe_customers set stripe_customer_id = coalesce(stripe_customer_id, $2), updated_at = $3
        where tenant_id = $1 returning stripe_customer_id`,
      [transaction.tenantId, customerId, call.now],
    ),
  );
  return row?.stripe_customer_id ?? customerId;
}
