import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;
const DAY_MS = 86_400_000;

const mapping = { detector: 'regex-pii', source_data: 'some text', model_version: 'v1' };
const map = (key: string) => app.request('POST', '/api/v1/mappings', { key, body: mapping });

interface UsageGiven {
  id?: string;
  source?: string;
  time?: Date;
  tenant?: string;
  type: string;
  amount?: number;
}

function usageEvent(given: UsageGiven) {
  return {
    specversion: '1.0',
    id: given.id ?? randomUUID(),
    source: given.source ?? '/meter',
    type: USAGE_RECORDED,
    time: (given.time ?? new Date()).toISOString(),
    data: { tenant_id: given.tenant ?? 'acme', usage_type: given.type, usage_amount: given.amount ?? 1 },
  };
}

/** Uses a new message id each time, so that the consumer detects repeats and not the broker. */
const send = (...events: readonly unknown[]) =>
  app.services.bus.send(
    'usage-events',
    events.map((body) => ({ body, messageId: randomUUID() })),
  );

async function ledger(type: string) {
  return app.admin.billing`
    select usage_amount::float8 as amount, occurred_at, billing_period_start, billing_period_end
      from usage_records where usage_type = ${type} order by occurred_at`;
}

/** Waits until a usage type has this number of rows in the ledger and of events in the roll-ups. */
async function settled(type: string, rows: number): Promise<void> {
  await until(
    () => ledger(type),
    (found) => found.length >= rows,
  );
  await until(
    () => app.admin.analytics`select coalesce(sum(event_count), 0)::int as n from usage_metrics
                               where metric_name = ${type} and granularity = 'day'`,
    ([row]) => row?.['n'] >= rows,
  );
}

async function allowance(tenant: string, type: string) {
  const [row] = await app.admin.billing`
    select current_usage::float8 as used, reserved::float8 as reserved, last_reset_at, next_reset_at
      from free_tier_usage where tenant_id = ${tenant} and usage_type = ${type} and user_id = ''`;
  return row as { used: number; reserved: number; last_reset_at: Date; next_reset_at: Date } | undefined;
}

const usage = async (key: string) => (await app.request('GET', '/api/v1/usage', { key })).body;
async function usageOf(key: string, type: string) {
  const { items } = (await usage(key)) as { items: { usage_type: string; used: number }[] };
  return items.find((item) => item.usage_type === type);
}

describe('a usage event', () => {
  it('becomes one ledger row and one count, also if it comes several times', async () => {
    const type = 'sent_twice';
    const event = usageEvent({ type, amount: 2.5 });
    await send(event, event);
    await send(event);
    await send(usageEvent({ type, amount: 1 }));
    await settled(type, 2);
    // A later event is behind all repeats in the queue.
    expect((await ledger(type)).map((row) => row['amount'])).toEqual([2.5, 1]);
    const metrics = await app.admin.analytics`
      select granularity, sum(metric_value)::float8 as value, sum(event_count)::int as events
        from usage_metrics where metric_name = ${type} group by granularity order by granularity`;
    expect(metrics.map((row) => [row['granularity'], row['value'], row['events']])).toEqual([
      ['day', 3.5, 2],
      ['hour', 3.5, 2],
    ]);
  });

  it('counts twice with the same id from two sources', async () => {
    const id = randomUUID();
    await send(usageEvent({ type: 'two_sources', id, source: '/a' }));
    await send(usageEvent({ type: 'two_sources', id, source: '/b' }));
    await settled('two_sources', 2);
  });

  it('that comes late counts in the period of its own time, in any order', async () => {
    const type = 'late';
    const now = new Date();
    const ages = [0, 40, 95, 3];
    await send(...ages.map((days) => usageEvent({ type, time: new Date(now.getTime() - days * DAY_MS) })));
    await settled(type, 4);
    const rows = await ledger(type);
    for (const row of rows) {
      expect(row['occurred_at'] >= row['billing_period_start']).toBe(true);
      expect(row['occurred_at'] < row['billing_period_end']).toBe(true);
    }
    expect(rows).toHaveLength(4);
  });

  it('counts against a free tenant’s running period if it happened in it, and in the ended one otherwise', async () => {
    await usage(globex.reader);
    const before = await allowance('globex', 'analysis_runs');
    if (before === undefined) throw new Error('no allowance');
    // As after an earlier reset of the allowance.
    await app.admin.billing`
      insert into ops.free_tier_periods (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit)
      values ('globex', '', 'analysis_runs', 'monthly', ${new Date(before.last_reset_at.getTime() - 30 * DAY_MS)},
              ${before.last_reset_at}, 4, 10)`;
    const late = usageEvent({
      tenant: 'globex',
      type: 'analysis_runs',
      amount: 2,
      time: new Date(before.last_reset_at.getTime() - DAY_MS),
    });
    await send(late, late, usageEvent({ tenant: 'globex', type: 'analysis_runs', amount: 3 }));
    await until(
      () => allowance('globex', 'analysis_runs'),
      (row) => row?.used === before.used + 3,
    );
    const [ended] = await app.admin.billing`
      select used::float8 as used from ops.free_tier_periods where tenant_id = 'globex' and usage_type = 'analysis_runs'`;
    expect(ended?.['used']).toBe(6);
  });
});

describe('a write', () => {
  it('causes its usage once, and a repeat under its idempotency key none', async () => {
    const used = async () => (await usageOf(acme.reader, 'api_calls'))?.used ?? 0;
    const before = await used();
    const headers = { 'idempotency-key': randomUUID() };
    for (let n = 0; n < 3; n++) {
      const { status } = await app.request('POST', '/api/v1/mappings', {
        key: acme.writer,
        body: mapping,
        headers,
      });
      expect(status).toBe(201);
    }
    await map(acme.writer);
    await until(used, (value) => value >= before + 2);
    expect(await used()).toBe(before + 2);
  });

  it('of a free tenant is reserved first and becomes usage, and nothing stays reserved', async () => {
    const before = await allowance('globex', 'api_calls');
    for (let n = 0; n < 5; n++) expect((await map(globex.writer)).status).toBe(201);
    const shown = await usageOf(globex.reader, 'api_calls');
    expect(shown).toMatchObject({
      used: (before?.used ?? 0) + 5,
      limit: 1000,
      remaining: 995 - (before?.used ?? 0),
    });
    await until(
      () => allowance('globex', 'api_calls'),
      (row) => row?.reserved === 0 && row.used === (before?.used ?? 0) + 5,
    );
  });

  it('that is refused costs nothing', async () => {
    const before = await usageOf(globex.reader, 'api_calls');
    const { status } = await app.request('POST', '/api/v1/mappings', {
      key: globex.writer,
      body: { ...mapping, response: { taxonomy: ['No.Such.Label'] } },
    });
    expect(status).toBe(400);
    expect((await usageOf(globex.reader, 'api_calls'))?.used).toBe(before?.used);
  });

  it('whose process died after the reservation gets it released by the reset timer', async () => {
    const before = await allowance('globex', 'api_calls');
    const old = new Date(Date.now() - 2 * DAY_MS);
    await app.admin.billing`
      insert into ops.usage_reservations (tenant_id, reservation_id, usage_type, amount, created_at)
      values ('globex', ${newId(old)}, 'api_calls', 7, ${old})`;
    await app.admin.billing`
      update free_tier_usage set reserved = reserved + 7 where tenant_id = 'globex' and usage_type = 'api_calls'`;
    await app.host.invoke('free-tier-reset');
    expect((await allowance('globex', 'api_calls'))?.reserved).toBe(before?.reserved);
    const left = await app.admin.billing`select from ops.usage_reservations where created_at <= ${old}`;
    expect(left).toHaveLength(0);
  });
});

describe('the usage of a period', () => {
  it('has types with limit, remaining and the next reset, of the own tenant only', async () => {
    const free = await usage(globex.reader);
    expect(free.plan_id).toBe('free');
    for (const item of free.items) {
      expect(Date.parse(item.resets_at)).toBeGreaterThan(Date.now());
      expect(item.remaining).toBe(item.limit === null ? null : Math.max(0, item.limit - item.used));
    }
    expect(free.items.map((item: { usage_type: string }) => item.usage_type)).not.toContain('sent_twice');
    expect(await usageOf(acme.reader, 'sent_twice')).toMatchObject({
      used: 3.5,
      limit: null,
      remaining: null,
    });
  });
});

describe.each([
  ['with Redis', false],
  ['without Redis', true],
])('a free tenant with 50 left (%s)', (_, withoutRedis) => {
  it('gets exactly 50 of 200 requests that come at once', { timeout: 60_000 }, async () => {
    const other = withoutRedis ? await startTestApp({ withoutRedis }) : app;
    const { writer, reader } = other.keys.globex;
    await other.request('GET', '/api/v1/usage', { key: reader });
    await until(
      () =>
        other.admin
          .billing`select reserved::int from free_tier_usage where tenant_id = 'globex' and reserved > 0`,
      (rows) => rows.length === 0,
    );
    await other.admin.billing`
      update free_tier_usage set current_usage = usage_limit - 50 where tenant_id = 'globex' and usage_type = 'api_calls'`;
    const answers = await Promise.all(
      Array.from({ length: 200 }, () =>
        other.request('POST', '/api/v1/mappings', { key: writer, body: mapping }),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array<number>(50).fill(201), ...Array<number>(150).fill(402)]);
    const refused = answers.find(({ status }) => status === 402);
    expect(refused?.body.code).toBe('QUOTA_EXCEEDED');
    expect(JSON.stringify(refused?.body)).toMatch(/20\d\d-\d\d-\d\dT/);
    const [rows] = await other.admin.core`
      select count(*)::int as n from mapper_requests where tenant_id = 'globex' and request_id = any(${answers
        .filter(({ status }) => status === 201)
        .map(({ body }) => body.request_id as string)})`;
    expect(rows?.['n']).toBe(50);
    const [spent] = await until(
      () => other.admin.billing`
        select current_usage = usage_limit as full, reserved::int from free_tier_usage
         where tenant_id = 'globex' and usage_type = 'api_calls'`,
      ([row]) => row?.['reserved'] === 0,
    );
    expect(spent?.['full']).toBe(true);
    // Reading stays free.
    expect((await other.request('GET', '/api/v1/mappings', { key: reader })).status).toBe(200);
  });
});

describe('a usage type with the name of a member of every object', () => {
  const NAMES = ['constructor', '__proto__', 'toString', 'hasOwnProperty'];

  it.each([
    ['a paid', 'acme', acme],
    ['a free', 'globex', globex],
  ])('has no limit in %s tenant’s usage', async (_, tenant, keys) => {
    await send(...NAMES.map((type) => usageEvent({ tenant, type, amount: 2 })));
    const found = await until(
      async () => (await usage(keys.reader)).items as { usage_type: string }[],
      (items) => NAMES.every((name) => items.some((item) => item.usage_type === name)),
    );
    for (const name of NAMES) {
      expect(found.find((item) => item.usage_type === name)).toMatchObject({
        used: 2,
        limit: null,
        remaining: null,
      });
    }
  });
});

describe('a free tenant’s write beyond its allowance', () => {
  const HOUR_MS = 3_600_000;
  const reset = new Date(Math.floor(Date.now() / 1000) * 1000 + 2 * HOUR_MS);
  const spend = (type: string) => app.admin.billing`
    update free_tier_usage set current_usage = usage_limit, next_reset_at = ${reset}
     where tenant_id = 'globex' and usage_type = ${type} and reset_period = 'monthly'`;
  const restore = (type: string) => app.admin.billing`
    update free_tier_usage set current_usage = 0, reserved = 0, next_reset_at = ${new Date(Date.now() + 20 * DAY_MS)}
     where tenant_id = 'globex' and usage_type = ${type} and reset_period = 'monthly'`;
  /** Adds a second allowance of one call to the monthly one. */
  const addAllowance = (period: string) => app.admin.billing`
    insert into free_tier_usage (tenant_id, usage_type, reset_period, usage_limit, anchor_date, last_reset_at, next_reset_at)
    values ('globex', 'api_calls', ${period}, 1, current_date, now() - interval '1 hour', ${reset})`;

  it.each(['api_calls', 'storage_gb'])(
    'is refused with the spent type, its reset, and the seconds until then: %s',
    async (type) => {
      await usage(globex.reader);
      await restore('api_calls');
      await spend(type);
      const refused = await map(globex.writer);
      await restore(type);
      expect([refused.status, refused.body.usage_type]).toEqual([402, type]);
      expect(Date.parse(refused.body.resets_at)).toBe(reset.getTime());
      expect(refused.body.detail).toContain(refused.body.resets_at);
      const seconds = Number(refused.headers.get('retry-after'));
      expect(seconds).toBeLessThanOrEqual(Math.ceil((2 * HOUR_MS) / 1000));
      expect(seconds).toBeGreaterThan((2 * HOUR_MS) / 1000 - 600);
    },
  );

  it.each(['daily', 'yearly'])('is refused if only its %s allowance is spent', async (period) => {
    await restore('api_calls');
    await addAllowance(period);
    try {
      expect((await map(globex.writer)).status).toBe(201);
      const refused = await map(globex.writer);
      expect([refused.status, Date.parse(refused.body.resets_at)]).toEqual([402, reset.getTime()]);
    } finally {
      await app.admin.billing`
        delete from free_tier_usage where tenant_id = 'globex' and reset_period = ${period}`;
    }
    expect((await map(globex.writer)).status).toBe(201);
  });
});
