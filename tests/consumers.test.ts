import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { auditConsumer } from '../shared/domains/audit/consume-audit.ts';
import { usageConsumer } from '../shared/domains/billing/metering/consume-usage.ts';
import { resetDueAllowances } from '../shared/domains/billing/metering/free-tier.ts';
import { openBatch } from '../shared/platform/consume/consume.ts';
import { AUDIT_RECORDED, EVENT_SOURCE, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { receivedMessages } from '../shared/platform/consume/received-message.ts';
import { findNew } from '../shared/platform/consume/same-event.ts';
import type { Settings } from '../shared/platform/config/settings.ts';
import type { CrossTenantTransaction } from '../shared/platform/db/tenant-database.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { openServices, type Services } from '../functions/services.ts';
import { startTestApp } from './harness/app.ts';

// Tests call the consumers directly, as the host does, so that each test decides what is in one batch.
const app = await startTestApp({ silent: ['timer', 'serviceBus'] });
const { globex } = app.keys;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

interface Given {
  id?: string;
  source?: string;
  time?: Date;
  [field: string]: unknown;
}

function event(type: string, { id, source, time, ...data }: Given, more: Record<string, unknown> = {}) {
  return {
    specversion: '1.0',
    id: id ?? randomUUID(),
    source: source ?? '/meter',
    type,
    time: (time ?? new Date()).toISOString(),
    data,
    ...more,
  };
}

const usage = (given: Given, more?: Record<string, unknown>) =>
  event(USAGE_RECORDED, { tenant_id: 'acme', usage_type: 'runs', usage_amount: 1, ...given }, more);
const audit = (given: Given) =>
  event(AUDIT_RECORDED, { tenant_id: 'acme', resource_type: 'thing', ...given });

const consumeUsage = (bodies: readonly unknown[], services: Services = app.services, metadata = {}) =>
  openBatch(services, 'usage-events', [usageConsumer], receivedMessages(bodies, metadata)).consume();
const consumeAudit = (bodies: readonly unknown[]) =>
  openBatch(app.services, 'audit-events', [auditConsumer], receivedMessages(bodies)).consume();

const ledger = (type: string) => app.admin.billing`
  select usage_amount::float8 as amount, event_id from usage_records where usage_type = ${type} order by occurred_at`;

async function rolledUp(type: string): Promise<[number, number]> {
  const [row] = await app.admin.analytics`
    select coalesce(sum(metric_value), 0)::float8 as value, coalesce(sum(event_count), 0)::int as events
      from usage_metrics where metric_name = ${type} and granularity = 'day'`;
  return [row?.['value'], row?.['events']];
}

/** Makes an allowance for globex, with the present period. */
async function giveAllowance(
  type: string,
  {
    used = 0,
    limit = 100,
    period = 'monthly',
    start = new Date(Date.now() - DAY_MS),
    end = 20 * DAY_MS,
  } = {},
): Promise<void> {
  const endsAt = new Date(Date.now() + end);
  await app.admin.billing`
    insert into free_tier_usage (tenant_id, usage_type, reset_period, current_usage, usage_limit, anchor_date,
                                 last_reset_at, next_reset_at)
    values ('globex', ${type}, ${period}, ${used}, ${limit}, ${start.toISOString().slice(0, 10)}, ${start}, ${endsAt})`;
}

async function usedOf(type: string): Promise<number> {
  const [row] = await app.admin.billing`
    select current_usage::float8 as used from free_tier_usage where tenant_id = 'globex' and usage_type = ${type}`;
  return row?.['used'] as number;
}

const opened: Services[] = [];
/** The same services, with some settings changed. */
function servicesWith(settings: Partial<Settings>): Services {
  const services = openServices({ ...app.settings, ...settings });
  opened.push(services);
  return services;
}
afterAll(() => Promise.all(opened.map((services) => services.close())));

/** A port without a server. */
const NOWHERE = 'postgres://nobody:none@127.0.0.1:1/none';

describe('an event', () => {
  it('that is sent again with a new time is the same event, in one batch and in two', async () => {
    const id = randomUUID();
    const at = (minutes: number) => new Date(Date.now() - minutes * MINUTE_MS);
    const first = usage({ id, usage_type: 'restamped', usage_amount: 2, time: at(9) });
    await consumeUsage([first, usage({ id, usage_type: 'restamped', usage_amount: 7, time: at(5) })]);
    await consumeUsage([usage({ id, usage_type: 'restamped', usage_amount: 7, time: at(1) })]);
    expect((await ledger('restamped')).map((row) => row['amount'])).toEqual([2]);
    expect(await rolledUp('restamped')).toEqual([2, 1]);
    await consumeAudit([
      audit({ id, action: 'thing.restamped', time: at(9) }),
      audit({ id, action: 'thing.restamped', time: at(5) }),
    ]);
    await consumeAudit([audit({ id, action: 'thing.restamped', time: at(1) })]);
    expect(await app.admin.core`select from audit_logs where action = 'thing.restamped'`).toHaveLength(1);
  });

  it('counts once if many hosts get it at the same time', async () => {
    await giveAllowance('raced');
    const batch = Array.from({ length: 50 }, () => usage({ tenant_id: 'globex', usage_type: 'raced' }));
    const others = Array.from({ length: 5 }, () => servicesWith({}));
    await Promise.all(others.map((services, n) => consumeUsage([...batch.slice(n), ...batch], services)));
    expect(await ledger('raced')).toHaveLength(50);
    expect(await rolledUp('raced')).toEqual([50, 50]);
    expect(await usedOf('raced')).toBe(50);
  });

  it('counts in full if many hosts get events of one allowance at the same time', async () => {
    await giveAllowance('crowded', { limit: 20_000 });
    const one = () => usage({ tenant_id: 'globex', usage_type: 'crowded' });
    const hosts = Array.from({ length: 4 }, () => servicesWith({}));
    const consumeSome = async (services: Services): Promise<void> => {
      for (let batch = 0; batch < 20; batch += 1)
        await consumeUsage(Array.from({ length: 200 }, one), services);
    };
    await Promise.all(hosts.map(consumeSome));
    expect(await rolledUp('crowded')).toEqual([16_000, 16_000]);
    expect(await usedOf('crowded')).toBe(16_000);
  });

  it('may declare its data as JSON in any spelling', async () => {
    for (const datacontenttype of [
      'application/json; charset=utf-8',
      'Application/JSON',
      'application/x+json',
    ])
      await consumeUsage([usage({ usage_type: 'spelled' }, { datacontenttype })]);
    expect(await ledger('spelled')).toHaveLength(3);
  });

  it('of another producer counts against a free tenant’s allowance, and does not change this service’s reservations', async () => {
    await giveAllowance('foreign');
    const reservation = newId();
    await app.admin.billing`
      insert into ops.usage_reservations (tenant_id, reservation_id, usage_type, amount, created_at)
      values ('globex', ${reservation}, 'foreign', 5, now())`;
    await app.admin.billing`
      update free_tier_usage set reserved = 5 where tenant_id = 'globex' and usage_type = 'foreign'`;
    const given = {
      tenant_id: 'globex',
      usage_type: 'foreign',
      usage_amount: 5,
      reservation_id: reservation,
    };
    const allowance = async () => {
      const [row] = await app.admin.billing`
        select current_usage::int as used, reserved::int as reserved from free_tier_usage
         where tenant_id = 'globex' and usage_type = 'foreign'`;
      return row;
    };
    await consumeUsage([usage(given)]);
    expect(await allowance()).toEqual({ used: 5, reserved: 5 });
    const own = usage({ ...given, source: EVENT_SOURCE });
    await consumeUsage([own, own]);
    await consumeUsage([own]);
    expect(await allowance()).toEqual({ used: 10, reserved: 0 });
  });
});

describe('an allowance', () => {
  it('that is due is reset before usage counts, and usage counts in the period of its own time', async () => {
    const start = new Date(Date.now() - 30 * DAY_MS);
    await giveAllowance('turned', { used: 40, start, end: -DAY_MS, period: 'daily' });
    const before = new Date(Date.now() - 2 * DAY_MS);
    await consumeUsage([
      usage({ tenant_id: 'globex', usage_type: 'turned', usage_amount: 3 }),
      usage({ tenant_id: 'globex', usage_type: 'turned', usage_amount: 2, time: before }),
    ]);
    expect(await usedOf('turned')).toBe(3);
    const ended = await app.admin.billing`
      select used::float8 as used from ops.free_tier_periods where usage_type = 'turned' and period_start = ${start}`;
    expect(ended).toEqual([{ used: 42 }]);
  });

  it('loses nothing if a reset comes between events of one moment', async () => {
    const start = new Date(Date.now() - 5 * DAY_MS);
    await giveAllowance('crossed', { start, end: -MINUTE_MS, period: 'daily' });
    const times = [3 * DAY_MS, 2 * MINUTE_MS, 0];
    const batches = Array.from({ length: 12 }, (_, n) => [
      usage({
        tenant_id: 'globex',
        usage_type: 'crossed',
        time: new Date(Date.now() - (times[n % 3] ?? 0)),
      }),
    ]);
    await Promise.all([
      ...batches.map((batch) => consumeUsage(batch)),
      resetDueAllowances(app.services.crossTenant.billing, new Date()),
      resetDueAllowances(app.services.crossTenant.billing, new Date(), { tenantId: 'globex' }),
    ]);
    const [ended] = await app.admin.billing`
      select coalesce(sum(used), 0)::float8 as used from ops.free_tier_periods where usage_type = 'crossed'`;
    expect((ended?.['used'] as number) + (await usedOf('crossed'))).toBe(12);
  });

  it('whose period begins in the future counts present usage', async () => {
    await giveAllowance('ahead', { start: new Date(Date.now() + DAY_MS) });
    const one = usage({ tenant_id: 'globex', usage_type: 'ahead', usage_amount: 4 });
    await consumeUsage([one]);
    await consumeUsage([one]);
    expect(await usedOf('ahead')).toBe(4);
  });

  it('by day is checked together with the one by month: the smaller rest limits the write', async () => {
    await app.request('GET', '/api/v1/usage', { key: globex.reader });
    const post = () =>
      app.request('POST', '/api/v1/mappings', {
        key: globex.writer,
        body: { detector: 'regex-pii', source_data: 'x', model_version: 'v1' },
      });
    expect((await post()).status).toBe(201);
    // Sorted before the month's, so that the last one read is not the smaller one.
    await giveAllowance('api_calls', { limit: 2, period: 'daily', end: DAY_MS });
    expect([(await post()).status, (await post()).status]).toEqual([201, 201]);
    const refused = await post();
    expect([refused.status, refused.body.code]).toEqual([402, 'QUOTA_EXCEEDED']);
    expect(Date.parse(refused.body.resets_at)).toBeLessThan(Date.now() + 2 * DAY_MS);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    await app.admin
      .billing`delete from free_tier_usage where usage_type = 'api_calls' and reset_period = 'daily'`;
  });
});

describe('a batch', () => {
  it.each([
    ['billing', { BILLING_CROSS_TENANT_DATABASE_URL: NOWHERE }],
    ['analytics', { ANALYTICS_CROSS_TENANT_DATABASE_URL: NOWHERE }],
    ['core', { CORE_CROSS_TENANT_DATABASE_URL: NOWHERE }],
  ])('throws while a database is unavailable, comes again and counts once: %s', async (name, without) => {
    const type = `without_${name}`;
    const batch = [usage({ usage_type: type }), `not JSON ${name}`, usage({ usage_type: type })];
    const broken = servicesWith({ ...without, REDIS_URL: undefined });
    for (let n = 0; n < 2; n++) await expect(consumeUsage(batch, broken)).rejects.toThrow();
    await consumeUsage(batch);
    expect(await ledger(type)).toHaveLength(2);
    expect(await rolledUp(type)).toEqual([2, 2]);
    const aside = await app.admin.core`
      select from ops.quarantine where body = ${Buffer.from(`not JSON ${name}`)}`;
    expect(aside).toHaveLength(1);
  });

  it('is written without the one event that the database refuses', async () => {
    const full = usage({ usage_type: 'overflowing', usage_amount: 1e9 });
    await consumeUsage([full]);
    await app.admin.analytics`
      update usage_metrics set metric_value = 999999999999999 where metric_name = 'overflowing'`;
    const refused = usage({ usage_type: 'overflowing', usage_amount: 1e9 });
    const good = Array.from({ length: 9 }, () => usage({ usage_type: 'beside_overflowing' }));
    await consumeUsage([...good.slice(0, 4), refused, ...good.slice(4)]);
    expect(await rolledUp('beside_overflowing')).toEqual([9, 9]);
    const aside = await app.admin.core`
      select reason, detail, tenant_id, convert_from(body, 'UTF8')::jsonb ->> 'id' as id
        from ops.quarantine where reason = 'REFUSED_BY_DATABASE'`;
    expect(aside).toMatchObject([{ id: refused.id, tenant_id: 'acme' }]);
    expect(JSON.stringify(aside[0]?.['detail'])).toContain('22003');
  });

  it('puts a bad message into quarantine once per message, also if it is delivered again', async () => {
    const bodies = ['twice aside'];
    const delivered = (messageId: string) => ({ messageIdArray: [messageId] });
    const first = randomUUID();
    for (const id of [first, first, randomUUID()]) await consumeUsage(bodies, app.services, delivered(id));
    const aside = await app.admin.core`select from ops.quarantine where body = ${Buffer.from('twice aside')}`;
    expect(aside).toHaveLength(2);
  });

  it('is not written for an erased tenant, and is written for a new one', async () => {
    const type = 'just_made';
    const one = usage({ tenant_id: 'newcomer', usage_type: type });
    await consumeUsage([one]);
    expect(await ledger(type)).toHaveLength(0);
    await app.admin
      .core`insert into tenants (tenant_id, name, plan_id, has_quota) values ('newcomer', 'New', 'starter', false)`;
    await consumeUsage([one]);
    expect(await ledger(type)).toHaveLength(1);
    await app.admin.core`update tenants set status = 'erased' where tenant_id = 'newcomer'`;
    app.services.tenants.forget('newcomer');
    await consumeUsage([usage({ tenant_id: 'newcomer', usage_type: type })]);
    expect(await ledger(type)).toHaveLength(1);
  });

  it('without events does nothing', async () => {
    await expect(consumeUsage([])).resolves.toBeUndefined();
  });
});

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Actual Loops': number;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly PlanNode[];
}

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

describe('a ledger without statistics, like each partition on its first day', () => {
  const COUNT = 200;
  const batch = (n: number, make: (given: Given) => unknown): unknown[] =>
    Array.from({ length: COUNT }, (_, i) => make({ id: `crowd-${n}-${i}`, source: '/crowd' }));

  it.each([
    [
      'audit_logs',
      'core',
      'created_at',
      (n: number) => consumeAudit(batch(n, (given) => audit({ action: 'crowd.told', ...given }))),
    ],
    [
      'usage_records',
      'billing',
      'occurred_at',
      (n: number) => consumeUsage(batch(n, (given) => usage({ usage_type: 'crowd', ...given }))),
    ],
  ] as const)('%s is searched by identity, at any size', async (table, name, timeColumn, consumeMany) => {
    const partitions = await app.admin[name]<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = ${table}::regclass`;
    for (const { name: partition } of partitions)
      await app.admin[name].unsafe(`alter table ${partition} set (autovacuum_enabled = off)`);
    for (let n = 0; n < 20; n++) await consumeMany(n);

    const plans: PlanNode[] = [];
    const explained = {
      async query(...[text, parameters, options]: Parameters<CrossTenantTransaction['query']>) {
        const [row] = await app.services.crossTenant[name].query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
          `explain (analyze, format json) ${text}`,
          parameters,
          options,
        );
        if (row !== undefined) plans.push(row['QUERY PLAN'][0].Plan);
        return [];
      },
    } as Pick<CrossTenantTransaction, 'query'>;
    const at = new Date().toISOString();
    const identities = Array.from({ length: COUNT }, (_, i) => ({
      tenant_id: 'acme',
      source: '/crowd',
      event_id: `crowd-3-${i}`,
      at,
    }));
    await findNew(explained, { table, timeColumn }, identities);

    const scans = plans
      .flatMap(nodesOf)
      .filter((node) => node['Node Type'].includes('Scan') && node['Actual Loops'] === COUNT);
    expect(scans.length).toBeGreaterThan(0);
    for (const scan of scans) expect(scan['Index Cond']).toContain('event_id');
  });
});
