import type Stripe from 'stripe';
import { z } from 'zod';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { settleUse } from '../promotions/redemption.ts';
import { openMismatch, resolveKind, type Mismatch } from '../stripe/mismatches.ts';
import { stripeRowId } from '../stripe/row-id.ts';
import { upsertMirror } from '../stripe/upsert-mirror.ts';
import {
  cancelAt,
  discountsOf,
  instantOf,
  metadataOf,
  periodEnd,
  periodStart,
} from '../stripe/stripe-shapes.ts';
import { isLive, knownState, liveSql } from './live-states.ts';
import { decideLive, type Candidate, type Decision } from './one-live.ts';
import { findSubscribedPlan } from './plan-of-subscription.ts';

/** A subscription as Stripe has it, and whose it is: not an erased tenant's, which has none here. */
export interface SubscriptionAtStripe {
  readonly tenantId: string;
  readonly customerId: string;
  readonly subscription: Stripe.Subscription;
  /** Since when a payment is missing, as its open invoices say; undefined if none is. */
  readonly unpaidSince: Date | undefined;
}

/** What the sync of a subscription has done. */
export interface SubscriptionSync {
  readonly isWritten: boolean;
  /** Whether what other domains know of the tenant's billing has changed. */
  readonly changesBilling: boolean;
  readonly mismatches: readonly Mismatch[];
}

const tenantRows = z.array(
  z.object({
    subscription_id: z.string(),
    stripe_subscription_id: z.string().nullable(),
    stripe_status: z.string().nullable(),
    status: z.string(),
    plan_id: z.string(),
    past_due_since: z.coerce.date().nullable(),
    created_at: z.coerce.date(),
  }),
);
type TenantRow = z.output<typeof tenantRows>[number];

async function readRows(transaction: CrossTenantTransaction, tenantId: string): Promise<TenantRow[]> {
  return tenantRows.parse(
    await transaction.query(
      `select subscription_id, stripe_subscription_id, stripe_status, status, plan_id, past_due_since, created_at
         from user_subscriptions where tenant_id = $1`,
      [tenantId],
    ),
  );
}

function toCandidate(row: TenantRow): Candidate {
  return {
    subscriptionId: row.subscription_id,
    stripeSubscriptionId: row.stripe_subscription_id ?? undefined,
    stripeStatus: row.stripe_status ?? undefined,
    status: row.status,
    createdAt: row.created_at,
  };
}

/** Writes the states that differ, those first that end: a tenant has one live subscription at any moment. */
async function writeStates(
  transaction: CrossTenantTransaction,
  tenantId: string,
  { candidates, states }: { readonly candidates: readonly Candidate[]; readonly states: Decision['states'] },
  now: Date,
): Promise<number> {
  const changed = candidates.flatMap(({ subscriptionId, status }) => {
    const state = states.get(subscriptionId);
    return state === undefined || state === status ? [] : [{ subscriptionId, state }];
  });
  const ordered = [
    ...changed.filter(({ state }) => !isLive(state)),
    ...changed.filter(({ state }) => isLive(state)),
  ];
  for (const { subscriptionId, state } of ordered)
    await transaction.query(
      `update user_subscriptions set status = $3, updated_at = $4, version = version + 1
        where tenant_id = $1 and subscription_id = $2`,
      [tenantId, subscriptionId, state, now],
    );
  return ordered.length;
}

/** Lists the live subscriptions that do not count, and resolves the others. The caller does it for its own object. */
async function listSeconds(
  transaction: CrossTenantTransaction,
  tenantId: string,
  others: readonly Candidate[],
  { seconds, now }: { readonly seconds: readonly string[]; readonly now: Date },
): Promise<void> {
  for (const { stripeSubscriptionId: id } of others) {
    if (id === undefined) continue;
    if (seconds.includes(id)) await openMismatch(transaction, secondSubscription(tenantId, id), now);
    else await resolveKind(transaction, { kind: 'second_subscription', objectId: id }, now);
  }
}

function secondSubscription(tenantId: string, objectId: string): Mismatch {
  return { kind: 'second_subscription', objectType: 'subscription', objectId, tenantId, details: {} };
}

/** What other domains know of a tenant's billing: its plan, its state, and since when it owes. */
function factsOf(rows: readonly TenantRow[]): string {
  const live = rows.find(({ status }) => isLive(status));
  return JSON.stringify([live?.plan_id, live?.status, live?.past_due_since]);
}

/** A row's columns, as Stripe's object gives them. */
async function readColumns(
  transaction: CrossTenantTransaction,
  at: SubscriptionAtStripe,
  before: TenantRow | undefined,
  now: Date,
) {
  const { subscription } = at;
  const plan = await findSubscribedPlan(transaction, subscription);
  const start = plan.item?.periodStart ?? periodStart(subscription);
  const end = plan.item?.periodEnd ?? periodEnd(subscription);
  if (start === undefined || end === undefined || end <= start) return undefined;
  return {
    plan,
    values: {
      plan_id: plan.planId,
      billing_cycle: plan.billingCycle,
      current_period_start: start,
      current_period_end: end,
      trial_start: instantOf(subscription.trial_start),
      trial_end: instantOf(subscription.trial_end),
      stripe_customer_id: at.customerId,
      stripe_status: subscription.status,
      stripe_item_id: plan.item?.id,
      stripe_price_id: plan.item?.price.id,
      cancel_at_period_end: subscription.cancel_at_period_end,
      cancel_at: cancelAt(subscription),
      canceled_at: instantOf(subscription.canceled_at),
      ended_at: instantOf(subscription.ended_at),
      billing_cycle_anchor: instantOf(subscription.billing_cycle_anchor),
      past_due_since: pastDueSince(at, before?.past_due_since ?? undefined, now),
      promotional_code: await findCode(transaction, subscription),
    },
  };
}

/** Set while Stripe says that a payment is missing. A state that this build does not know changes nothing of it. */
function pastDueSince(
  { subscription: { status }, unpaidSince }: SubscriptionAtStripe,
  before: Date | undefined,
  now: Date,
): Date | undefined {
  if (status === 'past_due' || status === 'unpaid') return unpaidSince ?? before ?? now;
  return knownState(status) === undefined ? before : undefined;
}

/** Whether a subscription has begun: its first payment is made, or it is in its trial. */
function hasBegun(status: string): boolean {
  return status !== 'incomplete' && status !== 'incomplete_expired' && knownState(status) !== undefined;
}

/** The promotional code that a subscription was made with: its checkout says it, else its discount at Stripe. */
async function findCode(
  transaction: CrossTenantTransaction,
  subscription: Stripe.Subscription,
): Promise<string | undefined> {
  const named = metadataOf(subscription, 'promotional_code');
  if (named !== undefined) return named;
  const codes = discountsOf(subscription).flatMap(({ promotionCodeId }) => promotionCodeId ?? []);
  if (codes.length === 0) return undefined;
  const [row] = await transaction.query<{ code: string }>(
    `select code from promotional_codes where stripe_promotion_code_id = any($1::text[]) order by code limit 1`,
    [codes],
  );
  return row?.code;
}

/** Makes a tenant's rows what Stripe says of one of its subscriptions. The caller holds the tenant's lock. */
export async function syncSubscription(
  transaction: CrossTenantTransaction,
  at: SubscriptionAtStripe,
  now: Date,
): Promise<SubscriptionSync> {
  const { tenantId, subscription } = at;
  const stripeId = subscription.id;
  const mismatch = (kind: Mismatch['kind'], details: Mismatch['details']): Mismatch => ({
    kind,
    objectType: 'subscription',
    objectId: stripeId,
    tenantId,
    details,
  });
  const before = await readRows(transaction, tenantId);
  const own = before.find((row) => row.stripe_subscription_id === stripeId);
  const columns = await readColumns(transaction, at, own, now);
  const createdAt = instantOf(subscription.created);
  if (columns === undefined || createdAt === undefined) {
    const unreadable = mismatch('unreadable', { missing: 'period' });
    return { isWritten: false, changesBilling: false, mismatches: [unreadable] };
  }
  const subscriptionId = own?.subscription_id ?? stripeRowId(stripeId, createdAt);
  const others = before.filter((row) => row !== own).map(toCandidate);
  const candidate: Candidate = {
    subscriptionId,
    stripeSubscriptionId: stripeId,
    stripeStatus: subscription.status,
    status: own?.status ?? 'canceled',
    createdAt,
  };
  const { states, seconds } = decideLive([...others, candidate]);
  const status = states.get(subscriptionId) ?? 'canceled';
  const ending = new Map([...states].filter(([, state]) => !isLive(state)));
  const ended = await writeStates(transaction, tenantId, { candidates: others, states: ending }, now);
  const isUpserted = await upsertMirror(
    transaction,
    {
      insert: 'insert into user_subscriptions as m',
      key: { tenant_id: tenantId, subscription_id: subscriptionId },
      createdAt,
      columns: { ...columns.values, stripe_subscription_id: stripeId, status },
      isErased: false,
    },
    now,
  );
  // Its checkout settles it too, where its event arrives.
  const { promotional_code: code } = columns.values;
  if (isUpserted && code !== undefined && hasBegun(subscription.status))
    await settleUse(transaction, { tenantId, code, subscriptionId }, now);
  const rest = others.filter(({ subscriptionId: id }) => !ending.has(id));
  const revived = await writeStates(transaction, tenantId, { candidates: rest, states }, now);
  await listSeconds(transaction, tenantId, others, { seconds, now });
  const { price } = columns.plan.item ?? {};
  return {
    isWritten: isUpserted || ended + revived > 0,
    changesBilling: factsOf(before) !== factsOf(await readRows(transaction, tenantId)),
    mismatches: [
      ...(columns.plan.isKnown ? [] : [mismatch('unknown_price', { price: price?.id ?? null })]),
      ...(knownState(subscription.status) === undefined
        ? [mismatch('unknown_status', { status: subscription.status })]
        : []),
      ...(seconds.includes(stripeId) ? [secondSubscription(tenantId, stripeId)] : []),
    ],
  };
}

/** Notes that an erased tenant's subscription was cancelled, until its row goes. Nobody else is told. */
export async function noteCancelled(
  queries: Pick<CrossTenantTransaction, 'query'>,
  tenantId: string,
  stripeId: string,
  now: Date,
): Promise<void> {
  await queries.query(
    `update user_subscriptions set status = 'canceled', stripe_status = 'canceled', past_due_since = null, updated_at = $3,
            version = version + 1
      where tenant_id = $1 and stripe_subscription_id = $2`,
    [tenantId, stripeId, now],
  );
}

/** Stripe no longer has a subscription: its row is canceled. Undefined if there is no row, or an erasure is about to delete it. */
export async function endMissingSubscription(
  transaction: CrossTenantTransaction,
  stripeId: string,
  now: Date,
): Promise<(Omit<SubscriptionSync, 'mismatches'> & { readonly tenantId: string }) | undefined> {
  const [found] = await transaction.query<{ tenant_id: string }>(
    `select tenant_id from user_subscriptions where stripe_subscription_id = $1`,
    [stripeId],
  );
  if (found === undefined) return undefined;
  const { tenant_id: tenantId } = found;
  const [owner] = await transaction.query<{ is_erased: boolean }>(
    `select is_erased from ops.stripe_customers where tenant_id = $1 for update`,
    [tenantId],
  );
  if (owner?.is_erased === true) return undefined;
  const before = await readRows(transaction, tenantId);
  await transaction.query(
    `update user_subscriptions set status = 'canceled', stripe_status = 'canceled', past_due_since = null,
            ended_at = coalesce(ended_at, $3), canceled_at = coalesce(canceled_at, $3), synced_at = $3, updated_at = $3,
            version = version + 1
      where tenant_id = $1 and stripe_subscription_id = $2
        and (${liveSql()} or stripe_status is distinct from 'canceled')`,
    [tenantId, stripeId, now],
  );
  const candidates = (await readRows(transaction, tenantId)).map(toCandidate);
  const { states, seconds } = decideLive(candidates);
  await writeStates(transaction, tenantId, { candidates, states }, now);
  await listSeconds(transaction, tenantId, candidates, { seconds, now });
  const after = await readRows(transaction, tenantId);
  return {
    tenantId,
    isWritten: JSON.stringify(before) !== JSON.stringify(after),
    changesBilling: factsOf(before) !== factsOf(after),
  };
}
