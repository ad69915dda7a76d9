import { describe, expect, it } from 'vitest';
import { bookLostUnits, findLostUnits } from '../shared/domains/billing/metering/lost-windows.ts';
import { usageReportJob } from '../shared/domains/billing/metering/usage-report-job.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { addDays } from '../shared/platform/time/clock.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { addPlan, addTenant, allowanceOf, consume, subscribe } from './harness/metered-tenant.ts';

// Billing is restored to a moment before some windows were sent: Stripe has counted what billing does not know.

const { app, stripe } = await startBillingApp({ webhooks: false });
const { billing } = app.services.crossTenant;
const NOW = new Date();
const TYPE = 'calls';

const meter = await stripe.stripe.billing.meters.create({
  display_name: 'Calls',
  event_name: 'comply_calls',
  default_aggregation: { formula: 'sum' },
});
const plan = await addPlan(app, {
  limits: { [TYPE]: 100 },
  limit_policies: { [TYPE]: { mode: 'metered', overage_unit_amount_decimal: '0.5' } },
  stripe_meters: { [TYPE]: { meter_id: meter.id, event_name: meter.event_name, prices: {} } },
});

let tenants = 0;

async function addMetered(): Promise<{ tenant: string; customer: string }> {
  const tenant = `lost-${(tenants += 1)}`;
  await addTenant(app, tenant, plan);
  const customer = await stripe.stripe.customers.create({ name: tenant });
  await app.admin.billing`
    insert into ops.stripe_customers (tenant_id, stripe_customer_id) values (${tenant}, ${customer.id})`;
  await app.admin.billing`delete from free_tier_usage where tenant_id = ${tenant}`;
  await subscribe(app, tenant, { plan, start: addDays(NOW, -10), end: addDays(NOW, 20) }, NOW);
  return { tenant, customer: customer.id };
}

const report = () => runJob(app.services, usageReportJob, { triggeredBy: 'test' });
const use = (tenant: string, amount: number) => consume(app, { tenant, type: TYPE, amount });
const lostOf = async (tenant: string, found: ReturnType<typeof findLostUnits>): Promise<number[]> =>
  (await found).filter(({ tenantId }) => tenantId === tenant).map(({ units }) => units);

/** What Stripe charges a customer for. */
async function charged(customer: string): Promise<number> {
  const minute = 60;
  const now = Math.ceil(Date.now() / 1000 / minute) * minute;
  const { data } = await stripe.stripe.billing.meters.listEventSummaries(meter.id, {
    customer,
    start_time: now - 60 * minute,
    end_time: now + minute,
  });
  return data.reduce((sum, { aggregated_value: value }) => sum + value, 0);
}

/** Takes the windows back, as a restore does: all of them, or only their end. */
async function forget(tenant: string, what: 'windows' | 'outcomes'): Promise<void> {
  if (what === 'outcomes') {
    await app.admin.billing`
      update ops.meter_windows set status = 'pending', reported_at = null, sent_at = null where tenant_id = ${tenant}`;
    return;
  }
  await app.admin.billing`delete from ops.meter_windows where tenant_id = ${tenant}`;
  await app.admin.billing`update free_tier_usage set reported = 0 where tenant_id = ${tenant}`;
}

const book = () => bookLostUnits(billing, stripe.stripe, new Date());

describe('units that Stripe was told of, and billing has forgotten', () => {
  it('would be charged twice', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 150);
    await report();
    await forget(tenant, 'windows');
    await report();
    expect(await charged(customer)).toBe(100);
  });

  it.each(['windows', 'outcomes'] as const)(
    'are charged once after they are written down, also when only the %s are forgotten, and a second time changes nothing',
    async (what) => {
      const { tenant, customer } = await addMetered();
      await use(tenant, 150);
      await report();
      await forget(tenant, what);
      expect(await lostOf(tenant, findLostUnits(billing, stripe.stripe, new Date()))).toEqual([50]);
      expect(await lostOf(tenant, book())).toEqual([50]);
      expect(await lostOf(tenant, book())).toEqual([]);
      await use(tenant, 7);
      await report();
      expect(await charged(customer)).toBe(57);
      expect(await allowanceOf(app, tenant, TYPE)).toMatchObject({ used: 157, reported: 57 });
    },
  );

  it('are not reported again while the use itself is still on its way', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 150);
    await report();
    await forget(tenant, 'windows');
    await app.admin.billing`update free_tier_usage set current_usage = 90 where tenant_id = ${tenant}`;
    await book();
    await report();
    await app.admin.billing`update free_tier_usage set current_usage = 160 where tenant_id = ${tenant}`;
    await report();
    expect(await charged(customer)).toBe(60);
  });

  it('fill an ended period first, whose use would be reported once more', async () => {
    const { tenant, customer } = await addMetered();
    await use(tenant, 150);
    await report();
    await forget(tenant, 'windows');
    // The period ended meanwhile, and the running one has used little.
    await app.admin.billing`
      insert into ops.free_tier_periods (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit,
        mode, plan_id, reported)
      select tenant_id, user_id, usage_type, reset_period, last_reset_at, ${addDays(NOW, -1)}, current_usage, usage_limit, mode, plan_id, 0
        from free_tier_usage where tenant_id = ${tenant} and usage_type = ${TYPE}`;
    await app.admin.billing`
      update free_tier_usage set current_usage = 30, last_reset_at = ${addDays(NOW, -1)} where tenant_id = ${tenant}`;
    expect(await lostOf(tenant, book())).toEqual([50]);
    await report();
    expect(await charged(customer)).toBe(50);
    expect(await allowanceOf(app, tenant, TYPE)).toMatchObject({ reported: 0 });
  });
});
