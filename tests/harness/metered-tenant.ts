import { randomUUID } from 'node:crypto';
import { usageConsumer } from '../../shared/domains/billing/metering/consume-usage.ts';
import { adjustAllowances } from '../../shared/domains/billing/metering/adjust-allowances.ts';
import { USAGE_RECORDED } from '../../shared/platform/bus/events.ts';
import { openBatch } from '../../shared/platform/consume/consume.ts';
import { receivedMessages } from '../../shared/platform/consume/received-message.ts';
import type { CrossTenantDatabase } from '../../shared/platform/db/tenant-database.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import type { TestApp } from './app.ts';

let plans = 0;

/** A plan of a test: what it has beyond the defaults. */
export interface TestPlan {
  readonly limits?: Readonly<Record<string, number>>;
  readonly limit_policies?: Readonly<Record<string, { mode: string; overage_unit_amount_decimal?: string }>>;
  readonly allowances?: readonly object[];
  readonly stripe_meters?: Readonly<Record<string, object>>;
  readonly plan_type?: string;
}

/** Adds a plan and returns its id. */
export async function addPlan({ admin }: TestApp, plan: TestPlan): Promise<string> {
  plans += 1;
  const row = {
    plan_id: `plan-${plans}`,
    plan_name: `Plan ${plans}`,
    plan_type: plan.plan_type ?? 'paid',
    limits: admin.billing.json(plan.limits ?? {}),
    limit_policies: admin.billing.json(plan.limit_policies ?? {}),
    allowances: admin.billing.json((plan.allowances ?? []) as never),
    stripe_meters: admin.billing.json((plan.stripe_meters ?? {}) as never),
  };
  await admin.billing`insert into billing_plans ${admin.billing(row as never)}`;
  return row.plan_id;
}

/** Adds a tenant on a plan, as an operator does. Returns its owner's key. */
export async function addTenant(app: TestApp, tenantId: string, planId: string): Promise<string> {
  const body = { tenant_id: tenantId, name: tenantId, plan_id: planId };
  const made = await app.request('POST', '/api/v1/platform/tenants', { key: app.keys.operator, body });
  if (made.status !== 201) throw new Error(`${made.status} ${JSON.stringify(made.body)}`);
  return made.body.owner_api_key;
}

/** A subscription's times and plan, as a webhook would bring them. */
export interface SubscriptionGiven {
  readonly plan: string;
  readonly start: string | Date;
  readonly end: string | Date;
  readonly anchor?: string | Date;
  readonly started?: string | Date;
  readonly cycle?: 'monthly' | 'yearly';
}

/** Gives a tenant a subscription of Stripe's in place of the one it has, and adjusts its allowances. */
export async function subscribe(
  app: TestApp,
  tenantId: string,
  given: SubscriptionGiven,
  now = new Date(),
): Promise<void> {
  const sql = app.admin.billing;
  const anchor = given.anchor ?? given.start;
  const [kept] = await sql`
    update user_subscriptions
       set plan_id = ${given.plan}, current_period_start = ${new Date(given.start)}, current_period_end = ${new Date(given.end)},
           billing_cycle_anchor = ${new Date(anchor)}, billing_cycle = ${given.cycle ?? 'monthly'},
           stripe_subscription_id = ${`sub_${tenantId}`}, created_at = ${new Date(given.started ?? given.start)}
     where tenant_id = ${tenantId} and status = 'active' returning 1 as one`;
  if (kept === undefined)
    await sql`
      insert into user_subscriptions (tenant_id, subscription_id, plan_id, status, current_period_start, current_period_end,
        billing_cycle_anchor, billing_cycle, stripe_subscription_id, created_at)
      values (${tenantId}, ${newId()}, ${given.plan}, 'active', ${new Date(given.start)}, ${new Date(given.end)},
              ${new Date(anchor)}, ${given.cycle ?? 'monthly'}, ${`sub_${tenantId}`},
              ${new Date(given.started ?? given.start)})`;
  await adjust(app, tenantId, now);
}

/** What follows a change of a tenant's subscription. */
export async function adjust(app: TestApp, tenantId: string, now = new Date()): Promise<void> {
  const { billing } = app.services.crossTenant;
  await billing.transaction((transaction) => adjustAllowances(transaction, tenantId, now));
}

/** A usage event. */
export interface UsageGiven {
  readonly tenant: string;
  readonly type: string;
  readonly amount?: number;
  readonly user?: string;
  readonly time?: Date;
  readonly id?: string;
}

/** A usage event as a message has it. */
function usageEvent({
  tenant,
  type,
  amount = 1,
  user,
  time = new Date(),
  id = randomUUID(),
}: UsageGiven) {
  return {
    specversion: '1.0',
    id,
    source: '/meter',
    type: USAGE_RECORDED,
    time: time.toISOString(),
    data: { tenant_id: tenant, usage_type: type, usage_amount: amount, user_id: user },
  };
}

/** Consumes usage events in one batch, as the queue's function does. */
export function consume(
  { services }: Pick<TestApp, 'services'>,
  ...events: readonly UsageGiven[]
): Promise<unknown> {
  const messages = receivedMessages(events.map(usageEvent));
  return openBatch(services, 'usage-events', [usageConsumer], messages).consume();
}

/** A database that does `before` each statement. */
export function intercepted(
  database: CrossTenantDatabase,
  before: (text: string) => void | Promise<void>,
): CrossTenantDatabase {
  type Queries = Pick<CrossTenantDatabase, 'query'>;
  const of = (queries: Queries): Queries => ({
    query: async (...given) => {
      await before(given[0]);
      return queries.query(...given);
    },
  });
  const own = {
    ...of(database),
    transaction: (run: (transaction: Queries) => Promise<unknown>) =>
      database.transaction(async (transaction) => {
        const value = await run(of(transaction));
        await before('commit');
        return value;
      }),
  };
  return own as unknown as CrossTenantDatabase;
}

/** A tenant's allowance, with numbers. */
export interface AllowanceRow {
  readonly used: number;
  readonly reserved: number;
  readonly limit: number;
  readonly reported: number;
  readonly mode: string;
  readonly last_reset_at: Date;
  readonly next_reset_at: Date;
}

/** A tenant's, or a user's, allowance of a type. */
export async function allowanceOf(
  { admin }: TestApp,
  tenantId: string,
  type: string,
  { user = '', period = 'monthly' } = {},
): Promise<AllowanceRow | undefined> {
  const [row] = await admin.billing<AllowanceRow[]>`
    select current_usage::float8 as used, reserved::float8 as reserved, usage_limit::float8 as limit, reported::float8, mode,
           last_reset_at, next_reset_at
      from free_tier_usage
     where tenant_id = ${tenantId} and usage_type = ${type} and user_id = ${user} and reset_period = ${period}`;
  return row;
}

/** The ended periods of a tenant's allowance. */
export function endedPeriods({ admin }: TestApp, tenantId: string, type: string) {
  return admin.billing<{ used: number; limit: number; period_start: Date; period_end: Date; mode: string }[]>`
    select used::float8 as used, usage_limit::float8 as limit, period_start, period_end, mode
      from ops.free_tier_periods where tenant_id = ${tenantId} and usage_type = ${type} order by period_start`;
}
