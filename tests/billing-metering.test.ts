import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { resetDueAllowances } from '../shared/domains/billing/metering/free-tier.ts';
import { addDays, DAY_MS, MINUTE_MS } from '../shared/platform/time/clock.ts';
import { startTestApp, until } from './harness/app.ts';
import {
  addPlan,
  addTenant,
  adjust,
  allowanceOf,
  consume,
  endedPeriods,
  intercepted,
  subscribe,
} from './harness/metered-tenant.ts';

const app = await startTestApp();
const { billing } = app.services.crossTenant;
const NOW = new Date();
const ago = (ms: number): Date => new Date(NOW.getTime() - ms);

const write = (key: string) =>
  app.request('POST', '/api/v1/mappings', {
    key,
    body: { detector: 'regex-pii', source_data: 'some text', model_version: 'v1' },
  });

interface Item {
  readonly usage_type: string;
  readonly reset_period: string;
  readonly [member: string]: unknown;
}

async function itemOf(key: string, type: string, period = 'monthly'): Promise<Item | undefined> {
  const { body } = await app.request('GET', '/api/v1/usage', { key });
  const items = body.items as readonly Item[];
  return items.find((item) => item.usage_type === type && item.reset_period === period);
}

/** A month around now, as a subscription has it. */
const MONTH = { start: addDays(NOW, -10), end: addDays(NOW, 20) };

describe('a hard limit of a paid plan', () => {
  it('lets exactly what is left through, of 50 writes at once with 3 left', { timeout: 60_000 }, async () => {
    const plan = await addPlan(app, {
      limits: { api_calls: 10 },
      limit_policies: { api_calls: { mode: 'hard' } },
    });
    const key = await addTenant(app, 'hard', plan);
    await consume(app, { tenant: 'hard', type: 'api_calls', amount: 7 });
    const answers = await Promise.all(Array.from({ length: 50 }, () => write(key)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array<number>(3).fill(201), ...Array<number>(47).fill(402)]);
    const refused = answers.find(({ status }) => status === 402);
    expect(refused?.body).toMatchObject({ code: 'QUOTA_EXCEEDED', usage_type: 'api_calls' });
    await until(
      () => allowanceOf(app, 'hard', 'api_calls'),
      (row) => row?.used === 10 && row.reserved === 0,
    );
    expect(await itemOf(key, 'api_calls')).toMatchObject({ mode: 'hard', used: 10, limit: 10, remaining: 0 });
  });

  it('of one type does not limit the others', async () => {
    const plan = await addPlan(app, {
      limits: { api_calls: 1, analysis_runs: 0 },
      limit_policies: { analysis_runs: { mode: 'hard' } },
    });
    const key = await addTenant(app, 'one-type', plan);
    expect([(await write(key)).status, (await write(key)).status]).toEqual([201, 201]);
    const [reserved] = await app.admin.billing`
      select count(*)::int as n from ops.usage_reservations where tenant_id = 'one-type'`;
    expect(reserved?.['n']).toBe(0);
  });

  it('does not limit another tenant of the same plan', async () => {
    const plan = await addPlan(app, {
      limits: { api_calls: 1 },
      limit_policies: { api_calls: { mode: 'hard' } },
    });
    const [one, other] = [await addTenant(app, 'spent', plan), await addTenant(app, 'unspent', plan)];
    expect([(await write(one)).status, (await write(one)).status]).toEqual([201, 402]);
    expect((await write(other)).status).toBe(201);
    expect(await itemOf(other, 'api_calls')).toMatchObject({ used: 1 });
  });
});

describe('a soft limit', () => {
  it('allows what is beyond it, and says how much that is', async () => {
    const plan = await addPlan(app, { limits: { api_calls: 2 } });
    const key = await addTenant(app, 'soft', plan);
    for (let n = 0; n < 4; n += 1) expect((await write(key)).status).toBe(201);
    await until(
      () => itemOf(key, 'api_calls'),
      (item) => item?.['used'] === 4,
    );
    expect(await itemOf(key, 'api_calls')).toMatchObject({
      mode: 'soft',
      limit: 2,
      remaining: 0,
      over_limit: 2,
      overage_unit_price: null,
      currency: null,
    });
  });
});

describe('a metered limit', () => {
  it('shows what is beyond it and what a unit of that costs', async () => {
    const plan = await addPlan(app, {
      limits: { calls: 100 },
      limit_policies: { calls: { mode: 'metered', overage_unit_amount_decimal: '0.5' } },
    });
    const key = await addTenant(app, 'metered', plan);
    await consume(app, { tenant: 'metered', type: 'calls', amount: 130.5 });
    expect(await itemOf(key, 'calls')).toMatchObject({
      mode: 'metered',
      used: 130.5,
      over_limit: 30.5,
      overage_unit_price: '0.005',
      currency: 'USD',
    });
  });
});

describe('allowances of a plan', () => {
  it('of a day bind beside those of a month, and a user’s are counted by the user that an event names', async () => {
    const plan = await addPlan(app, {
      allowances: [
        { usage_type: 'api_calls', reset_period: 'daily', limit: 2, per: 'tenant' },
        { usage_type: 'calls', reset_period: 'weekly', limit: 10, per: 'user' },
      ],
    });
    const key = await addTenant(app, 'by-day', plan);
    const statuses = [await write(key), await write(key), await write(key)].map(({ status }) => status);
    expect(statuses).toEqual([201, 201, 402]);
    expect(await itemOf(key, 'api_calls', 'daily')).toMatchObject({ limit: 2, mode: 'hard' });

    const user = randomUUID();
    const type = 'calls';
    await consume(
      app,
      { tenant: 'by-day', type, amount: 3, user },
      { tenant: 'by-day', type, amount: 4, user: user.toUpperCase() },
      { tenant: 'by-day', type, amount: 5, user: 'another' },
      { tenant: 'by-day', type, amount: 6 },
    );
    await consume(app, { tenant: 'by-day', type, user });
    const used = async (of: string) =>
      (await allowanceOf(app, 'by-day', type, { user: of, period: 'weekly' }))?.used;
    expect([await used(user), await used('another')]).toEqual([8, 5]);
    expect(await told('by-day', type)).toEqual([[user, 80]]);
  });
});

/** The thresholds that a tenant was told of a type, from the outbox's ledger. */
async function told(tenant: string, type: string): Promise<[string, number][]> {
  const rows = await app.admin.billing`
    select user_id, threshold from ops.usage_thresholds where tenant_id = ${tenant} and usage_type = ${type}
     order by period_start, user_id, threshold`;
  return rows.map((row) => [row['user_id'], row['threshold']]);
}

describe('a threshold of 80 or 100 %', () => {
  const entries = (tenant: string) => app.admin.core`
    select resource_id, details from audit_logs
     where tenant_id = ${tenant} and action = 'usage.threshold_reached' order by created_at, details->>'threshold_percent'`;

  it('is told once a period, however the usage comes, and in the tenant’s trail', async () => {
    const plan = await addPlan(app, { limits: { calls: 100 } });
    await addTenant(app, 'told', plan);
    await addTenant(app, 'not-told', plan);
    await consume(app, { tenant: 'told', type: 'calls', amount: 79 });
    expect(await told('told', 'calls')).toEqual([]);
    await Promise.all(
      Array.from({ length: 10 }, () =>
        consume(
          app,
          { tenant: 'told', type: 'calls', amount: 1 },
          { tenant: 'not-told', type: 'calls', amount: 1 },
        ),
      ),
    );
    expect(await told('told', 'calls')).toEqual([['', 80]]);
    await consume(app, { tenant: 'told', type: 'calls', amount: 500 });
    await consume(app, { tenant: 'told', type: 'calls', amount: 1 });
    const found = await until(
      () => entries('told'),
      (rows) => rows.length >= 2,
    );
    expect(found.map((row) => [row['resource_id'], row['details']])).toEqual([
      ['calls', expect.objectContaining({ threshold_percent: 80, used: 80, limit: 100, mode: 'soft' })],
      ['calls', expect.objectContaining({ threshold_percent: 100, limit: 100 })],
    ]);
    expect(await told('not-told', 'calls')).toEqual([]);
    const [left] = await app.admin.billing`select count(*)::int as n from ops.outbox`;
    expect(left?.['n']).toBe(0);
  });

  it('is told again in the next period, and both at once where one event reaches both', async () => {
    const plan = await addPlan(app, { limits: { calls: 10 } });
    await addTenant(app, 'again', plan);
    await consume(app, { tenant: 'again', type: 'calls', amount: 10 });
    await app.admin.billing`
      update free_tier_usage set last_reset_at = now() - interval '2 months', next_reset_at = now() - interval '1 minute',
             anchor_at = now() - interval '1 minute'
       where tenant_id = 'again'`;
    await consume(app, { tenant: 'again', type: 'calls', amount: 9 });
    expect(await told('again', 'calls')).toHaveLength(3);
  });

  it('is told when a change of plan lowers the limit', async () => {
    const [large, small] = [
      await addPlan(app, { limits: { calls: 100 } }),
      await addPlan(app, { limits: { calls: 10 } }),
    ];
    await addTenant(app, 'lowered', large);
    await subscribe(app, 'lowered', { plan: large, ...MONTH });
    await consume(app, { tenant: 'lowered', type: 'calls', amount: 9 });
    await subscribe(app, 'lowered', { plan: small, ...MONTH });
    expect(await told('lowered', 'calls')).toEqual([['', 80]]);
  });
});

describe('a change of plan', () => {
  it('changes the limits at once and keeps what the running period has used', async () => {
    const hard = await addPlan(app, {
      limits: { api_calls: 2, calls: 5 },
      limit_policies: { api_calls: { mode: 'hard' } },
    });
    const soft = await addPlan(app, { limits: { api_calls: 50 } });
    const key = await addTenant(app, 'mover', hard);
    await subscribe(app, 'mover', { plan: hard, ...MONTH });
    const before = [await write(key), await write(key), await write(key)].map(({ status }) => status);
    expect(before).toEqual([201, 201, 402]);
    await until(
      () => allowanceOf(app, 'mover', 'api_calls'),
      (row) => row?.used === 2,
    );
    await subscribe(app, 'mover', { plan: soft, ...MONTH });
    // The tenant still counts as limited, and its row says that the limit is soft now.
    expect((await write(key)).status).toBe(201);
    const row = await allowanceOf(app, 'mover', 'api_calls');
    expect(row).toMatchObject({ limit: 50, mode: 'soft', used: 2, next_reset_at: MONTH.end });
    expect(await allowanceOf(app, 'mover', 'calls')).toMatchObject({ mode: 'none' });
    expect(await itemOf(key, 'calls')).toMatchObject({ limit: null, mode: null, over_limit: 0 });
    await subscribe(app, 'mover', { plan: hard, ...MONTH });
    expect((await write(key)).status).toBe(402);
  });

  it('is the same after any number of repetitions, also at once with usage', async () => {
    const [one, other] = [
      await addPlan(app, { limits: { calls: 100 } }),
      await addPlan(app, { limits: { calls: 200, more: 5 } }),
    ];
    await addTenant(app, 'restless', one);
    await subscribe(app, 'restless', { plan: one, ...MONTH });
    const use = () =>
      consume(app, { tenant: 'restless', type: 'calls' }, { tenant: 'restless', type: 'more', amount: 2 });
    const start = { start: ago(MINUTE_MS), end: addDays(NOW, 30) };
    await Promise.all([
      ...Array.from({ length: 10 }, use),
      subscribe(app, 'restless', { plan: other, ...start }),
      adjust(app, 'restless'),
      adjust(app, 'restless'),
      ...Array.from({ length: 10 }, use),
    ]);
    await adjust(app, 'restless');
    expect(await allowanceOf(app, 'restless', 'calls')).toMatchObject({ used: 20, limit: 200 });
    expect(await allowanceOf(app, 'restless', 'more')).toMatchObject({ used: 40, limit: 5 });
  });

  it('by an operator’s edit of a limit applies from the next period on', async () => {
    const plan = await addPlan(app, { limits: { calls: 10 } });
    await addTenant(app, 'edited', plan);
    await app.admin.billing`update billing_plans set limits = '{"calls": 30}' where plan_id = ${plan}`;
    await adjust(app, 'edited');
    expect(await allowanceOf(app, 'edited', 'calls')).toMatchObject({ limit: 10 });
    await resetDueAllowances(billing, addDays(NOW, 35), { tenantId: 'edited' });
    expect(await allowanceOf(app, 'edited', 'calls')).toMatchObject({ limit: 30 });
  });
});

describe('a subscription', () => {
  it('that begins in the middle of a free month begins a period, which has what was used since', async () => {
    const plan = await addPlan(app, { limits: { api_calls: 100 } });
    await addTenant(app, 'joined', 'free');
    await app.admin.billing`
      update free_tier_usage set last_reset_at = ${ago(9 * DAY_MS)}, anchor_date = ${ago(9 * DAY_MS)}, next_reset_at = ${addDays(NOW, 21)}
       where tenant_id = 'joined'`;
    const type = 'api_calls';
    await consume(app, { tenant: 'joined', type, amount: 900, time: ago(3 * DAY_MS) });
    await consume(app, { tenant: 'joined', type, amount: 7, time: ago(MINUTE_MS) });
    const start = ago(60 * MINUTE_MS);
    await subscribe(app, 'joined', { plan, start, end: addDays(start, 30) });
    expect(await allowanceOf(app, 'joined', type)).toMatchObject({
      used: 7,
      limit: 100,
      mode: 'soft',
      last_reset_at: start,
    });
    expect(await endedPeriods(app, 'joined', type)).toMatchObject([
      { used: 900, limit: 1000, period_end: start },
    ]);
    // What comes late counts in the period of its own time.
    await consume(app, { tenant: 'joined', type, amount: 5, time: ago(2 * DAY_MS) });
    expect(await allowanceOf(app, 'joined', type)).toMatchObject({ used: 7 });
    expect(await endedPeriods(app, 'joined', type)).toMatchObject([{ used: 905 }]);
  });

  it('renews by itself when the webhook is late, on the day and at the time of its anchor', async () => {
    const plan = await addPlan(app, { limits: { calls: 100 } });
    const key = await addTenant(app, 'renewing', plan);
    // Anchored on a 31st at 10:00; Stripe's last news is months old.
    const times = { start: '2026-01-31T10:00:00Z', end: '2026-02-28T10:00:00Z' };
    await app.admin.billing`delete from free_tier_usage where tenant_id = 'renewing'`;
    await subscribe(app, 'renewing', { plan, ...times });
    const item = await itemOf(key, 'calls');
    expect(String(item?.['resets_at'])).toMatch(/T10:00:00/);
    expect(Date.parse(String(item?.['resets_at']))).toBeGreaterThan(NOW.getTime());
    expect(Date.parse(String(item?.['period_start']))).toBeLessThanOrEqual(NOW.getTime());
    await consume(
      app,
      { tenant: 'renewing', type: 'calls' },
      { tenant: 'renewing', type: 'calls', time: new Date('2026-03-31T09:59:59Z') },
      { tenant: 'renewing', type: 'calls', time: new Date('2026-03-31T10:00:00Z') },
      { tenant: 'renewing', type: 'calls', time: new Date('2026-01-31T09:59:59Z') },
    );
    const ledger = await app.admin.billing`
      select billing_period_start as start, billing_period_end as end from usage_records
       where tenant_id = 'renewing' order by occurred_at`;
    expect(ledger.slice(0, 3).map((row) => [row['start'].toISOString(), row['end'].toISOString()])).toEqual([
      ['2026-01-01T00:00:00.000Z', '2026-01-31T10:00:00.000Z'],
      ['2026-02-28T10:00:00.000Z', '2026-03-31T10:00:00.000Z'],
      ['2026-03-31T10:00:00.000Z', '2026-04-30T10:00:00.000Z'],
    ]);
    expect(ledger[3]?.['end']).toEqual(new Date(String(item?.['resets_at'])));
  });

  it('that ends leaves the free plan’s limits, and what the running period has used', async () => {
    const plan = await addPlan(app, { limits: { api_calls: 100_000 } });
    const key = await addTenant(app, 'leaver', plan);
    await subscribe(app, 'leaver', { plan, ...MONTH });
    await consume(app, { tenant: 'leaver', type: 'api_calls', amount: 1500 });
    await app.admin.billing`update user_subscriptions set status = 'canceled' where tenant_id = 'leaver'`;
    await adjust(app, 'leaver');
    await app.admin.core`update tenants set has_quota = true, plan_id = 'free' where tenant_id = 'leaver'`;
    app.services.tenants.forget('leaver');
    expect(await allowanceOf(app, 'leaver', 'api_calls')).toMatchObject({
      used: 1500,
      limit: 1000,
      mode: 'hard',
    });
    expect(await itemOf(key, 'api_calls')).toMatchObject({ over_limit: 500, remaining: 0 });
  });

  it('whose first payment is open gives no plan', async () => {
    const plan = await addPlan(app, { limits: { api_calls: 100_000 } });
    await addTenant(app, 'incomplete', 'free');
    await subscribe(app, 'incomplete', { plan, ...MONTH });
    await app.admin
      .billing`update user_subscriptions set status = 'incomplete' where tenant_id = 'incomplete'`;
    await adjust(app, 'incomplete');
    expect(await allowanceOf(app, 'incomplete', 'api_calls')).toMatchObject({ limit: 1000, mode: 'hard' });
  });
});

describe('a batch of usage', () => {
  it('needs the same number of statements for 500 events as for one', async () => {
    const plan = await addPlan(app, { limits: { calls: 1_000_000 } });
    await addTenant(app, 'counted', plan);
    const seen: string[] = [];
    const crossTenant = {
      ...app.services.crossTenant,
      billing: intercepted(billing, (text) => void seen.push(text)),
    };
    const statements = async (events: number): Promise<number> => {
      seen.length = 0;
      const all = Array.from({ length: events }, () => ({ tenant: 'counted', type: 'calls' }));
      await consume({ services: { ...app.services, crossTenant } }, ...all);
      return seen.length;
    };
    await statements(1);
    const one = await statements(1);
    expect([one, await statements(500)]).toEqual([one, one]);
    expect(one).toBeLessThan(8);
  });
});
