import fc from 'fast-check';
import type Stripe from 'stripe';
import { beforeEach, describe, expect, it } from 'vitest';
import { openWindows } from '../shared/domains/billing/metering/open-windows.ts';
import { sendWindows } from '../shared/domains/billing/metering/send-windows.ts';
import { usageReportJob } from '../shared/domains/billing/metering/usage-report-job.ts';
import { syncObject } from '../shared/domains/billing/sync/sync-object.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { addDays, HOUR_MS, MINUTE_MS } from '../shared/platform/time/clock.ts';
import type { CrossTenantDatabase } from '../shared/platform/db/tenant-database.ts';
import { startBillingApp } from './harness/billing-app.ts';
import {
  addPlan,
  addTenant,
  allowanceOf,
  consume,
  intercepted,
  subscribe,
} from './harness/metered-tenant.ts';

/** Stripe's clock, which a test may set. */
let stripeNow: number | undefined;
const { app, stripe } = await startBillingApp({
  webhooks: false,
  stripe: { now: () => stripeNow ?? Date.now() },
});
const { billing } = app.services.crossTenant;
const NOW = new Date();
const TYPE = 'calls';
const always = (): boolean => true;

const meter = await stripe.stripe.billing.meters.create({
  display_name: 'Calls',
  event_name: 'comply_calls',
  default_aggregation: { formula: 'sum' },
});
const METERED = {
  limits: { [TYPE]: 100 },
  limit_policies: { [TYPE]: { mode: 'metered', overage_unit_amount_decimal: '0.5' } },
  stripe_meters: { [TYPE]: { meter_id: meter.id, event_name: meter.event_name, prices: {} } },
};
const plan = await addPlan(app, METERED);
/** A month around now, as a subscription has it. */
const MONTH = { start: addDays(NOW, -10), end: addDays(NOW, 20) };

beforeEach(() => {
  stripeNow = undefined;
});

let tenants = 0;

interface Metered {
  readonly tenant: string;
  readonly customer: string;
  readonly key: string;
}

/** A tenant with a subscription of the metered plan, and a customer at Stripe. */
async function addMetered(
  times = MONTH,
  { create = {}, on = plan }: { create?: Stripe.CustomerCreateParams; on?: string } = {},
): Promise<Metered> {
  tenants += 1;
  const tenant = `metered-${tenants}`;
  const key = await addTenant(app, tenant, on);
  const customer = await stripe.stripe.customers.create({ name: tenant, ...create });
  await app.admin.billing`
    insert into ops.stripe_customers (tenant_id, stripe_customer_id) values (${tenant}, ${customer.id})`;
  await app.admin.billing`delete from free_tier_usage where tenant_id = ${tenant}`;
  // In its first period, which may have ended since.
  const then = new Date(Math.min(NOW.getTime(), times.end.getTime() - 1));
  await subscribe(app, tenant, { plan: on, ...times }, then);
  return { tenant, customer: customer.id, key };
}

const use = (tenant: string, amount: number, time?: Date) =>
  consume(app, { tenant, type: TYPE, amount, ...(time === undefined ? {} : { time }) });

/** A client that repeats nothing by itself, so that a cut connection is what the report sees. */
const client = (): Stripe => stripe.connect({ maxNetworkRetries: 0 });

async function report(now = NOW, database: CrossTenantDatabase = billing, own = client()) {
  await openWindows(database, now, always);
  return sendWindows(database, own, now, always);
}

/** A report that does not hear of the first window that Stripe takes. */
async function reportUnheard() {
  const path = '/v1/billing/meter_events';
  const answer = await stripe.ask('POST', '/_stand-in/holds', { path, point: 'after' });
  const { id } = JSON.parse(await answer.text());
  try {
    return await report(NOW, billing, stripe.connect({ maxNetworkRetries: 0, timeout: 250 }));
  } finally {
    await stripe.ask('POST', `/_stand-in/holds/${id}/release`, { how: 'cut' });
  }
}

interface WindowRow {
  readonly window_id: string;
  readonly amount: number;
  readonly status: string;
  readonly error: string | null;
  readonly attempts: number;
  readonly reported_at: Date;
  readonly period_start: Date;
}

const windowsOf = (tenant: string) => app.admin.billing<WindowRow[]>`
  select window_id, amount::float8 as amount, status, error, attempts, reported_at, period_start
    from ops.meter_windows where tenant_id = ${tenant} order by created_at, window_id`;

/** What Stripe has counted of a customer in all of the last weeks. */
async function countedBy(customer: string, from = addDays(NOW, -60), to = addDays(NOW, 60)): Promise<number> {
  const minute = (at: Date): number => Math.floor(at.getTime() / MINUTE_MS) * 60;
  const { data } = await stripe.stripe.billing.meters.listEventSummaries(meter.id, {
    customer,
    start_time: minute(from),
    end_time: minute(to),
  });
  return data.reduce((sum, { aggregated_value }) => sum + aggregated_value, 0);
}

describe('the report of metered use', () => {
  it('has what is beyond the limit, in whole units, and the rest in the next window', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 99.5);
    await report();
    expect(await windowsOf(tenant)).toEqual([]);
    await use(tenant, 11.2);
    await report();
    await report();
    expect(await windowsOf(tenant)).toMatchObject([{ amount: 10, status: 'sent', attempts: 1 }]);
    await use(tenant, 0.3);
    await report();
    expect((await windowsOf(tenant)).map(({ amount }) => amount).sort()).toEqual([1, 10]);
    expect(await countedBy(customer)).toBe(11);
    expect(await allowanceOf(app, tenant, TYPE)).toMatchObject({ used: 111, reported: 11 });
  });

  it('runs as a job, and does nothing without a key of Stripe', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 103);
    const without = { ...app.services, settings: { ...app.settings, STRIPE_SECRET_KEY: undefined } };
    await runJob(without, usageReportJob, { triggeredBy: 'test' });
    expect(await windowsOf(tenant)).toEqual([]);
    const run = await runJob(app.services, usageReportJob, { triggeredBy: 'test' });
    expect(run).toMatchObject({ status: 'completed' });
    expect(run.details).toMatchObject({ windows_sent: 1, windows_refused: 0 });
    expect(await countedBy(customer)).toBe(3);
  });

  it('counts each unit once, however many report at once, beside usage', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 100);
    await Promise.all([
      ...Array.from({ length: 8 }, () => use(tenant, 3)),
      ...Array.from({ length: 8 }, () => report()),
    ]);
    await report();
    expect(await countedBy(customer)).toBe(24);
    expect((await windowsOf(tenant)).every(({ status }) => status === 'sent')).toBe(true);
  });

  it('is of each tenant by itself, and of no tenant that is no customer', async () => {
    const [one, other, none] = [await addMetered(), await addMetered(), await addMetered()];
    await app.admin.billing`delete from ops.stripe_customers where tenant_id = ${none.tenant}`;
    await Promise.all([use(one.tenant, 105), use(other.tenant, 107), use(none.tenant, 109)]);
    await report();
    expect([await countedBy(one.customer), await countedBy(other.customer)]).toEqual([5, 7]);
    expect(await windowsOf(none.tenant)).toEqual([]);
  });
});

describe('a report that dies', () => {
  it('after its windows are written is continued', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 104);
    await openWindows(billing, NOW, always);
    expect(await windowsOf(tenant)).toMatchObject([{ amount: 4, status: 'pending', attempts: 0 }]);
    await use(tenant, 2);
    await report();
    expect(await countedBy(customer)).toBe(6);
  });

  it('before its windows are committed leaves none', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 104);
    const dying = intercepted(billing, (text) => {
      if (text === 'commit') throw new Error('killed');
    });
    await expect(report(NOW, dying)).rejects.toThrow('killed');
    expect(await windowsOf(tenant)).toEqual([]);
    await report();
    expect(await countedBy(customer)).toBe(4);
  });

  it('after Stripe has taken a window sends it again, and Stripe counts it once', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 104);
    expect(await reportUnheard()).toMatchObject({ isAway: true });
    expect(await windowsOf(tenant)).toMatchObject([{ status: 'pending', attempts: 1 }]);
    expect(await report(new Date(NOW.getTime() + HOUR_MS))).toMatchObject({ sent: 1 });
    expect(await windowsOf(tenant)).toMatchObject([{ status: 'sent', attempts: 2 }]);
    expect(await countedBy(customer)).toBe(4);
  });

  it('because Stripe is away keeps its windows for the next run', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 104);
    const nowhere = stripe.connect({ port: 1, maxNetworkRetries: 0 });
    await openWindows(billing, NOW, always);
    for (let n = 0; n < 3; n += 1)
      expect(await sendWindows(billing, nowhere, NOW, always)).toMatchObject({ sent: 0, isAway: true });
    expect(await windowsOf(tenant)).toMatchObject([{ status: 'pending', attempts: 3 }]);
    await use(tenant, 1);
    await report();
    expect(await countedBy(customer)).toBe(5);
  });
});

describe('a window that may have been sent more than a day ago', () => {
  const sentAt = new Date(Math.floor(addDays(NOW, -2).getTime() / 1000) * 1000);

  /** A pending window whose attempt was two days ago. */
  async function addDoubtful(amount: number, taken: number | undefined): Promise<Metered> {
    const made = await addMetered();
    await use(made.tenant, 100 + amount, sentAt);
    await openWindows(billing, sentAt, always);
    const [window] = await windowsOf(made.tenant);
    await app.admin.billing`
      update ops.meter_windows set reported_at = ${sentAt}, attempts = 1 where tenant_id = ${made.tenant}`;
    if (taken !== undefined) {
      stripeNow = sentAt.getTime();
      await stripe.stripe.billing.meterEvents.create({
        event_name: meter.event_name,
        identifier: window?.window_id ?? '',
        timestamp: sentAt.getTime() / 1000,
        payload: { stripe_customer_id: made.customer, value: String(taken) },
      });
      stripeNow = undefined;
    }
    return made;
  }

  it('is looked for: what Stripe has is not sent again', async () => {
    const { tenant, customer } = await addDoubtful(4, 4);
    await report();
    expect(await windowsOf(tenant)).toMatchObject([{ status: 'sent', attempts: 1 }]);
    expect(await countedBy(customer)).toBe(4);
  });

  it('is sent if Stripe does not have it', async () => {
    const { tenant, customer } = await addDoubtful(4, undefined);
    await report();
    expect(await windowsOf(tenant)).toMatchObject([{ status: 'sent', attempts: 2 }]);
    expect(await countedBy(customer)).toBe(4);
  });

  it('is left to a person if Stripe has something else', async () => {
    const { tenant, customer } = await addDoubtful(4, 3);
    await report();
    expect(await windowsOf(tenant)).toMatchObject([{ status: 'unknown', error: 'not_to_be_found_out' }]);
    expect(await countedBy(customer)).toBe(3);
  });
});

describe('the time that Stripe is told', () => {
  // At a whole minute: Stripe sums those up.
  const end = new Date(Math.floor(NOW.getTime() / MINUTE_MS - 10) * MINUTE_MS);
  const period = { start: addDays(end, -31), end };

  it('is in the window’s own period while its invoice is open, and then in the running one', async () => {
    const { tenant, customer } = await addMetered(period);
    await use(tenant, 105, addDays(NOW, -3));
    await use(tenant, 101);
    await report();
    const ended = (await windowsOf(tenant)).find(({ period_start }) => +period_start === +period.start);
    expect(ended).toMatchObject({ amount: 5, status: 'sent' });
    expect(ended?.reported_at.getTime()).toBeLessThan(period.end.getTime());
    expect(await countedBy(customer, addDays(NOW, -60), period.end)).toBe(5);
    // Late use of the ended period.
    await use(tenant, 7, addDays(NOW, -3));
    const later = new Date(NOW.getTime() + HOUR_MS);
    stripeNow = later.getTime();
    await report(later);
    const late = (await windowsOf(tenant)).find(({ amount }) => amount === 7);
    expect(late).toMatchObject({ status: 'sent', reported_at: later, period_start: period.start });
    expect(await countedBy(customer)).toBe(13);
  });

  it('is none for use of more than 35 days ago, which is refused and shown to operators', async () => {
    const old = { start: addDays(NOW, -70), end: addDays(NOW, -40) };
    const { tenant, customer, key } = await addMetered(old);
    await use(tenant, 106, addDays(NOW, -50));
    await report();
    await report();
    expect(await windowsOf(tenant)).toMatchObject([
      { amount: 6, status: 'refused', error: 'too_old', attempts: 0 },
    ]);
    expect(await countedBy(customer)).toBe(0);
    const path = '/api/v1/platform/billing/meter-windows?status=refused';
    const { body } = await app.request('GET', path, { key: app.keys.operator });
    const shown = body.items.filter((item: { tenant_id: string }) => item.tenant_id === tenant);
    expect(shown).toMatchObject([{ amount: '6', usage_type: TYPE, error: 'too_old', status: 'refused' }]);
    expect((await app.request('GET', path, { key })).status).toBe(403);
  });

  it('is none for what comes after the subscription has ended', async () => {
    const { tenant } = await addMetered(period);
    await use(tenant, 105);
    await use(tenant, 105, addDays(NOW, -3));
    await app.admin.billing`update user_subscriptions set status = 'canceled' where tenant_id = ${tenant}`;
    await report(new Date(NOW.getTime() + 2 * HOUR_MS));
    const ended = (await windowsOf(tenant)).filter(({ period_start }) => +period_start === +period.start);
    expect(ended).toMatchObject([{ status: 'refused', error: 'subscription_ended' }]);
  });
});

describe('what Stripe refuses', () => {
  it('is kept with its code, and does not keep others from being sent', async () => {
    const other = await addMetered();
    const clock = await stripe.stripe.testHelpers.testClocks.create({
      frozen_time: Math.floor(addDays(NOW, 90).getTime() / 1000),
    });
    const { tenant } = await addMetered(MONTH, { create: { test_clock: clock.id } });
    await use(tenant, 103);
    await use(other.tenant, 102);
    await report();
    await report();
    expect(await windowsOf(tenant)).toMatchObject([
      { status: 'refused', error: 'timestamp_too_far_in_past', attempts: 1 },
    ]);
    expect(await countedBy(other.customer)).toBe(2);
  });

  it('only because its clock is behind is sent later', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 103);
    stripeNow = NOW.getTime() - HOUR_MS;
    await report();
    expect(await windowsOf(tenant)).toMatchObject([{ status: 'pending', error: 'timestamp_in_future' }]);
    stripeNow = undefined;
    await report();
    expect(await countedBy(customer)).toBe(3);
  });
});

describe('a change of plan', () => {
  it('charges what was used under the old plan by the old plan', async () => {
    const { tenant, customer } = await addMetered();
    const soft = await addPlan(app, { limits: { [TYPE]: 1000 } });
    await use(tenant, 108);
    await subscribe(app, tenant, { plan: soft, ...MONTH });
    await use(tenant, 50);
    await report();
    expect(await countedBy(customer)).toBe(8);
    await subscribe(app, tenant, { plan, ...MONTH });
    await report();
    // Back on the metered plan, all of the period is counted, and what was reported is not again.
    expect(await countedBy(customer)).toBe(58);
  });

  it('that begins a new period charges each part once', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 130, addDays(NOW, -2));
    await report();
    await use(tenant, 20, addDays(NOW, -2));
    await use(tenant, 105);
    const start = new Date(NOW.getTime() - HOUR_MS);
    await subscribe(app, tenant, { plan, start, end: addDays(start, 30), started: MONTH.start });
    await report();
    // 150 in the ended period, 105 in the new one, each with 100 included.
    expect(await countedBy(customer)).toBe(55);
  });
});

describe('a subscription that Stripe tells of', () => {
  it('brings the plan’s limits and its periods with it, and takes them along when it is gone', async () => {
    const product = await stripe.stripe.products.create({ name: 'Small' });
    const price = await stripe.stripe.prices.create({
      product: product.id,
      currency: 'usd',
      unit_amount: 100,
      recurring: { interval: 'month' },
    });
    const small = await addPlan(app, { limits: { api_calls: 7, [TYPE]: 3 } });
    await app.admin.billing`update billing_plans set stripe_price_id = ${price.id} where plan_id = ${small}`;
    const tenant = 'synced';
    await addTenant(app, tenant, 'free');
    const card = 'pm_card_visa';
    const customer = await stripe.stripe.customers.create({
      metadata: { tenant_id: tenant },
      payment_method: card,
      invoice_settings: { default_payment_method: card },
    });
    await app.admin.billing`
      insert into ops.stripe_customers (tenant_id, stripe_customer_id) values (${tenant}, ${customer.id})`;
    const { id, items } = await stripe.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    await syncObject(app.services, { type: 'subscription', id }, new Date());
    const [item] = items.data;
    const period = {
      last_reset_at: new Date((item?.current_period_start ?? 0) * 1000),
      next_reset_at: new Date((item?.current_period_end ?? 0) * 1000),
    };
    expect(await allowanceOf(app, tenant, 'api_calls')).toMatchObject({ limit: 7, mode: 'soft', ...period });
    expect(await allowanceOf(app, tenant, TYPE)).toMatchObject({ limit: 3, mode: 'soft', ...period });
    await stripe.stripe.subscriptions.cancel(id);
    await syncObject(app.services, { type: 'subscription', id }, new Date());
    expect(await allowanceOf(app, tenant, 'api_calls')).toMatchObject({
      limit: 1000,
      mode: 'hard',
      ...period,
    });
    expect(await allowanceOf(app, tenant, TYPE)).toMatchObject({ mode: 'none' });
  });
});

/** What happens in the property test, in any order. */
const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('use' as const),
      amount: fc.integer({ min: 1, max: 4000 }).map((n) => n / 100),
      late: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('report' as const) }),
    fc.record({ kind: fc.constant('killed' as const), at: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ kind: fc.constant('unheard' as const) }),
    fc.record({ kind: fc.constant('twice' as const) }),
  ),
  { minLength: 3, maxLength: 12 },
);

describe('for any use, reports that die anywhere and reports at once', () => {
  it(
    'windows add up to the billable use of each period, and Stripe has counted it once',
    { timeout: 600_000 },
    async () => {
      const period = { start: addDays(NOW, -31), end: new Date(NOW.getTime() - 5 * MINUTE_MS) };
      const late = addDays(NOW, -3);
      const small = await addPlan(app, { ...METERED, limits: { [TYPE]: 20 } });
      await fc.assert(
        fc.asyncProperty(steps, async (all) => {
          const { tenant, customer } = await addMetered(period, { on: small });
          const used = { running: 0, ended: 0 };
          for (const step of all) {
            if (step.kind === 'use') {
              await use(tenant, step.amount, step.late ? late : undefined);
              used[step.late ? 'ended' : 'running'] += Math.round(step.amount * 100);
            } else await disturb(step);
          }
          await report();
          const billable = (hundredths: number): number => Math.floor(Math.max(0, hundredths - 2000) / 100);
          const windows = await windowsOf(tenant);
          const sum = (of: readonly WindowRow[]): number =>
            of.reduce((total, { amount }) => total + amount, 0);
          const isEnded = ({ period_start }: WindowRow): boolean => +period_start === +period.start;
          expect(windows.filter(({ status }) => status !== 'sent')).toEqual([]);
          expect(sum(windows.filter(isEnded))).toBe(billable(used.ended));
          expect(sum(windows.filter((window) => !isEnded(window)))).toBe(billable(used.running));
          expect(await countedBy(customer)).toBe(billable(used.ended) + billable(used.running));
        }),
        { numRuns: 60 },
      );
    },
  );

  async function disturb(
    step: { kind: 'report' | 'unheard' | 'twice' } | { kind: 'killed'; at: number },
  ): Promise<void> {
    switch (step.kind) {
      case 'report':
        await report();
        return;
      case 'twice':
        await Promise.all([report(), report()]);
        return;
      case 'killed': {
        let left = step.at;
        const dying = intercepted(billing, () => {
          left -= 1;
          if (left <= 0) throw new Error('killed');
        });
        await report(NOW, dying).catch((error: unknown) => {
          if (!(error instanceof Error) || error.message !== 'killed') throw error;
        });
        return;
      }
      case 'unheard':
        await reportUnheard();
        return;
      default:
        step satisfies never;
    }
  }
});
