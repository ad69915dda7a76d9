import { beforeAll, describe, expect, it } from 'vitest';
import type Stripe from 'stripe';
import { openWindows } from '../../shared/domains/billing/metering/open-windows.ts';
import { sendWindows } from '../../shared/domains/billing/metering/send-windows.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

// Not measured: a report looks at the running period of each metered limit, by design. An index that knows which of them have use to
// report would have to change with every batch of usage.

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { billing } = app.services.crossTenant;
const always = (): boolean => true;

beforeAll(async () => {
  await app.admin.billing`
    insert into billing_plans (plan_id, plan_name, plan_type, stripe_meters)
    select 'metered', 'Metered', 'paid', jsonb_object_agg('type-' || n, '{"event_name": "calls", "meter_id": "mtr_1"}'::jsonb)
      from generate_series(99900, 100000) n`;
  await app.admin.billing`
    insert into ops.stripe_customers (tenant_id, stripe_customer_id)
    select 'metered-' || n, 'cus_' || n from generate_series(1, 100000) n`;
  await fill(app.admin, ['metered_periods', 'meter_windows']);
}, 300_000);

describe('metered use is reported', () => {
  it('from windows that nobody was told of', async () => {
    const { database, measured } = measuring(billing);
    const told: string[] = [];
    const stripe = {
      billing: {
        meterEvents: { create: (event: { identifier: string }) => void told.push(event.identifier) },
      },
    };
    const sent = await sendWindows(database, stripe as unknown as Stripe, now, always);
    expect([sent.sent, new Set(told).size]).toEqual([BATCH, BATCH]);
    expectReads(measured, { rows: BATCH, pages: 14 });
  });

  it('of ended periods that have use beyond what was reported', async () => {
    const { database, measured } = measuring(billing);
    expect(await openWindows(database, now, always)).toBe(BATCH);
    expectReads(measured, { rows: BATCH, pages: 14 });
  });
});
