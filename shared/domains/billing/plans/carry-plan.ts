import type Stripe from 'stripe';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { json } from '../../../platform/db/tenant-database.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import { isStripeMissing } from '../stripe/client.ts';
import { lockForCarrying } from '../stripe/lock-for-carrying.ts';
import { ensureMeters, ensurePrice, ensureProduct, type MeterIds } from './plan-at-stripe.ts';
import type { PlanMeters } from './meters.ts';
import { meterEventName } from './meters.ts';
import { soldPlan, wantedPrices, type BillingCycle, type SoldPlan, type WantedPrice } from './stripe-plan.ts';

/** A price that a plan has at Stripe. */
interface MadePrice extends WantedPrice {
  readonly id: string;
}

/** A plan that another write keeps changing is carried by that write. */
const ATTEMPTS = 3;

/**
 * Makes Stripe have what a plan says: its product, its prices, and a meter and a price for each metered limit. A price is never edited:
 * another amount is another price, and the earlier one is archived; subscriptions keep it. Everything is looked for before it is
 * made, so it can be repeated after any failure half-way. One process at a time carries a plan.
 * @throws what Stripe or the database throws; the plan's `synced_at` is then still null.
 */
export async function carryPlan(
  billing: CrossTenantDatabase,
  stripe: Stripe,
  planId: string,
  now: Date,
): Promise<SoldPlan | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const isMade = await billing.transaction((transaction) => makePrices(transaction, stripe, planId, now));
    // Committed before anything is archived: the plan never names an archived price.
    if (isMade) await billing.transaction((transaction) => archivePrices(transaction, stripe, planId, now));
    const plan = await findSoldPlan(billing, planId);
    if (plan === undefined || plan.synced_at !== null) return plan;
  }
  return findSoldPlan(billing, planId);
}

type Queries = Pick<CrossTenantTransaction, 'query'>;

/** A plan with its prices and its ids at Stripe; undefined if there is no such plan. Also an inactive one. */
async function findSoldPlan(queries: Queries, planId: string): Promise<SoldPlan | undefined> {
  const [row] = await queries.query(
    `select ${Object.keys(soldPlan.shape).join(', ')} from billing_plans where plan_id = $1`,
    [planId],
  );
  return row === undefined ? undefined : soldPlan.parse(row);
}

/** Returns false if the plan was changed meanwhile: then what was made is found again by the next attempt. */
async function makePrices(
  transaction: CrossTenantTransaction,
  stripe: Stripe,
  planId: string,
  now: Date,
): Promise<boolean> {
  await lockForCarrying(transaction, `plan:${planId}`);
  const plan = await findSoldPlan(transaction, planId);
  if (plan === undefined) return false;
  const wanted = wantedPrices(plan);
  if (wanted.length === 0 && plan.stripe_product_id === null) return markSynced(transaction, plan, now);
  const product = await ensureProduct(stripe, plan);
  const meters = await ensureMeters(stripe, plan, wanted);
  const prices = await Promise.all(
    wanted.map(async (price): Promise<MadePrice> => ({
      ...price,
      id: await ensurePrice(stripe, plan, product, price, meters),
    })),
  );
  const baseOf = (cycle: BillingCycle): string | null =>
    prices.find((price) => price.kind === 'base' && price.cycle === cycle)?.id ?? null;
  const written = await transaction.query(
    `update billing_plans set stripe_product_id = $3, stripe_price_id = $4, stripe_price_id_yearly = $5, stripe_meters = $6
      where plan_id = $1 and version = $2 returning plan_id`,
    [planId, plan.version, product, baseOf('monthly'), baseOf('yearly'), json(metersOf(prices, meters))],
  );
  await keepPrices(transaction, plan, prices, now);
  return written.length > 0;
}

/** A plan that nobody pays for has nothing at Stripe. */
async function markSynced(queries: Queries, plan: SoldPlan, now: Date): Promise<false> {
  await queries.query(
    `update billing_plans set synced_at = $3 where plan_id = $1 and version = $2 and synced_at is null`,
    [plan.plan_id, plan.version, now],
  );
  return false;
}

function metersOf(prices: readonly MadePrice[], meters: MeterIds): PlanMeters {
  const all: Record<string, PlanMeters[string]> = {};
  for (const { kind, usageType, cycle, id } of prices) {
    const meter = usageType === null ? undefined : meters.get(usageType);
    if (kind !== 'overage' || usageType === null || meter === undefined) continue;
    const known = all[usageType]?.prices ?? {};
    all[usageType] = {
      meter_id: meter,
      event_name: meterEventName(usageType),
      prices: { ...known, [cycle]: id },
    };
  }
  return all;
}

const PRICES = recordset({
  stripe_price_id: 'text',
  kind: 'text',
  billing_cycle: 'text',
  usage_type: 'text',
  unit_amount_decimal: 'text',
});

/** Keeps every price that was made, so that a subscription's plan is found by it for as long as it has it. */
async function keepPrices(
  queries: Queries,
  plan: SoldPlan,
  prices: readonly MadePrice[],
  now: Date,
): Promise<void> {
  await queries.query(
    `update ops.plan_prices set is_current = false, updated_at = $2 where plan_id = $1 and is_current`,
    [plan.plan_id, now],
  );
  const rows = prices.map(({ id, kind, cycle, usageType, amount }) => ({
    stripe_price_id: id,
    kind,
    billing_cycle: cycle,
    usage_type: usageType,
    unit_amount_decimal: amount,
  }));
  await queries.query(
    `insert into ops.plan_prices (stripe_price_id, plan_id, kind, billing_cycle, usage_type, currency, unit_amount_decimal,
       is_current, created_at, updated_at)
     select p.stripe_price_id, $1, p.kind, p.billing_cycle, p.usage_type, $2, p.unit_amount_decimal, true, $3, $3
       from ${PRICES.from('p', 4)}
     on conflict (stripe_price_id) do update set is_current = true, archived_at = null, updated_at = excluded.updated_at`,
    [plan.plan_id, plan.currency, now, ...PRICES.parameters(rows)],
  );
}

/** The last step: only then is the plan as Stripe has it. */
async function archivePrices(
  transaction: CrossTenantTransaction,
  stripe: Stripe,
  planId: string,
  now: Date,
): Promise<void> {
  await lockForCarrying(transaction, `plan:${planId}`);
  // Another process may have carried the plan between the two steps: what is current is read again.
  const plan = await findSoldPlan(transaction, planId);
  if (plan === undefined) return;
  const former = await transaction.query<{ stripe_price_id: string }>(
    `select stripe_price_id from ops.plan_prices where plan_id = $1 and not is_current and archived_at is null`,
    [planId],
  );
  const ids = former.map((price) => price.stripe_price_id);
  await Promise.all(ids.map((id) => archivePrice(stripe, id)));
  await transaction.query(
    `update ops.plan_prices set archived_at = $2 where stripe_price_id = any($1::text[])`,
    [ids, now],
  );
  await transaction.query(
    `update billing_plans set synced_at = $2
      where plan_id = $1 and synced_at is null and version = $3 and stripe_product_id is not null`,
    [planId, now, plan.version],
  );
}

/** A price that is not there is of another account: of tests, before the real one. */
async function archivePrice(stripe: Stripe, id: string): Promise<void> {
  try {
    await stripe.prices.update(id, { active: false });
  } catch (error) {
    if (!isStripeMissing(error)) throw error;
  }
}
