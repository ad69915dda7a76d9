import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Sql, TransactionSql } from 'postgres';
import { rollUpUsage } from '../../shared/domains/analytics/roll-up-usage.ts';
import { auditConsumer } from '../../shared/domains/audit/consume-audit.ts';
import { writeUsage } from '../../shared/domains/billing/metering/write-usage.ts';
import { webhooksRetry } from '../../shared/domains/webhooks/deliveries/retry-job.ts';
import { deliveriesConsumer } from '../../shared/domains/webhooks/deliveries/send-deliveries.ts';
import { openBatch } from '../../shared/platform/consume/consume.ts';
import type { TenantEvent } from '../../shared/platform/consume/event-consumer.ts';
import { quarantineMessages } from '../../shared/platform/consume/quarantine.ts';
import { newEvent, WEBHOOK_DELIVERY_DUE, type AuditData } from '../../shared/platform/bus/events.ts';
import { findNew } from '../../shared/platform/consume/same-event.ts';
import type { JobRun } from '../../shared/platform/jobs/job.ts';
import { addDays, HOUR_MS } from '../../shared/platform/time/clock.ts';
import { startTestApp, until } from '../harness/app.ts';
import { measuring, type Measured } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, ids, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { core, billing } = app.admin;
const { crossTenant } = app.services;

beforeAll(
  () =>
    fill(app.admin, [
      'usage_reservations',
      'free_tier_usage',
      'free_tier_periods',
      'usage_records',
      'consumed_events',
      'usage_metrics',
      'audit_logs',
      'quarantine',
      'webhook_deliveries',
    ]),
  300_000,
);

const newIds = () => ids.map(() => randomUUID());

const usageOf = (eventIds: readonly string[], at: Date) =>
  eventIds.map((eventId, n) => ({
    tenant_id: 'globex',
    id: randomUUID(),
    source: 's',
    event_id: eventId,
    at: at.toISOString(),
    user_id: '',
    subscription_id: null,
    usage_type: 'api_calls',
    amount: 1,
    unit: 'count',
    resource_type: null,
    resource_id: null,
    reservation_id: ids[n] ?? null,
  }));

/** Runs a batch while another writes one of its events, which commits once the batch waits for it. */
async function beside(
  sql: Sql,
  writeOne: (transaction: TransactionSql) => Promise<unknown>,
  batch: () => Promise<unknown>,
): Promise<void> {
  let commit = (): void => undefined;
  const asked = new Promise<void>((resolve) => (commit = resolve));
  let written = (): void => undefined;
  const isWritten = new Promise<void>((resolve) => (written = resolve));
  const other = sql.begin(async (transaction) => {
    await writeOne(transaction);
    written();
    await asked;
  });
  await isWritten;
  const done = batch();
  await until(
    () => sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    (waiting) => waiting.length > 0,
  );
  commit();
  await Promise.all([other, done]);
}

const lookedForConflicts = (measured: readonly Measured[]) =>
  measured.filter(({ text }) => /on conflict do nothing/.test(text));

describe('writing usage events', () => {
  it('reads only their own rows, reservations and periods, also for an ended period', async () => {
    const { database, measured } = measuring(crossTenant.billing);
    await writeUsage(database, usageOf(newIds(), now), now);
    expect(
      await billing`select from ops.usage_reservations where tenant_id = 'globex' and reservation_id = any(${ids})`,
    ).toHaveLength(0);
    await writeUsage(database, usageOf(newIds(), addDays(now, -40)), now);
    expectReads(measured, { rows: BATCH, pages: 14 });
  });

  it('reads only their own rows beside another batch that writes one of the events', async () => {
    const { database, measured } = measuring(crossTenant.billing);
    const [shared, ...others] = usageOf(newIds(), now);
    await beside(
      billing,
      (transaction) => transaction`
        insert into usage_records (tenant_id, id, event_source, event_id, usage_type, usage_amount, usage_unit, occurred_at,
          billing_period_start, billing_period_end)
        values ('globex', ${randomUUID()}, 's', ${shared?.event_id ?? ''}, 'api_calls', 1, 'count', ${shared?.at ?? ''}, now(), now())`,
      () => writeUsage(database, [...others, ...(shared === undefined ? [] : [shared])], now),
    );
    expect(lookedForConflicts(measured)).not.toEqual([]);
    expectReads(measured, { rows: BATCH, pages: 15 });
  });
});

describe('adding usage to the metrics', () => {
  it.each([
    ['all are new', []],
    ['half are known', ids],
  ])('reads only the rows of its events: %s', async (_, known) => {
    const { database, measured } = measuring(crossTenant.analytics);
    await rollUpUsage(
      database,
      usageOf([...newIds().slice(known.length / 2), ...known.slice(BATCH / 2)], now),
      now,
    );
    expect(lookedForConflicts(measured)).toHaveLength(known.length === 0 ? 0 : 2);
    expectReads(measured, { rows: BATCH, pages: 8 });
  });
});

describe('writing audit entries', () => {
  const eventsOf = (eventIds: readonly string[]) =>
    eventIds.map((id) => ({
      id,
      source: 's',
      time: now.toISOString(),
      at: now,
      tenant: { tenantId: 'globex' },
      data: { tenant_id: 'globex', action: 'a', resource_type: 'r', outcome: 'success', details: {} },
    })) as unknown as TenantEvent<AuditData>[];
  const write = (database: typeof crossTenant.core, eventIds: readonly string[]) =>
    auditConsumer.write(
      { ...app.services, crossTenant: { ...crossTenant, core: database } },
      eventsOf(eventIds),
      now,
    );

  it('reads only their own rows', async () => {
    const { database, measured } = measuring(crossTenant.core);
    await write(database, newIds());
    expectReads(measured, { rows: BATCH, pages: 15 });
  });

  it('reads only their own rows beside another batch that writes one of the events', async () => {
    const { database, measured } = measuring(crossTenant.core);
    const [shared = '', ...others] = newIds();
    await beside(
      core,
      (transaction) => transaction`
        insert into audit_logs (tenant_id, id, event_source, event_id, action, resource_type, canonical, leaf_hash, created_at)
        values ('globex', ${randomUUID()}, 's', ${shared}, 'a', 'r', '', '', ${now})`,
      () => write(database, [shared, ...others]),
    );
    expect(lookedForConflicts(measured)).not.toEqual([]);
    expectReads(measured, { rows: BATCH, pages: 21 });
  });
});

it.each([
  ['core', 'audit_logs', 'created_at'],
  ['billing', 'usage_records', 'occurred_at'],
] as const)('the look-up of known events reads only their rows of %s.%s', async (name, table, timeColumn) => {
  const { database, measured } = measuring(crossTenant[name]);
  const events = ids.map((id) => ({
    tenant_id: 'globex',
    source: 's',
    event_id: id,
    at: now.toISOString(),
  }));
  expect(await findNew(database, { table, timeColumn }, events)).toEqual([]);
  expectReads(measured, { rows: BATCH, pages: 5 });
});

it('moving messages to quarantine reads only their own rows, also the second time', async () => {
  const { database, measured } = measuring(crossTenant.core);
  const refused = ids.map((id) => ({
    message: { body: Buffer.from(id), messageId: id, contentType: null, properties: {} },
    refusal: { reason: 'INVALID' as never, detail: [], tenantId: null },
  }));
  await quarantineMessages(database, 'audit-events', refused, now);
  await quarantineMessages(database, 'audit-events', refused, now);
  expectReads(measured, { rows: BATCH, pages: 15 });
});

describe('deliveries of webhooks', () => {
  /** A run whose core database counts, and whose time ends after some batches. */
  function measuredRun(at: Date, batches: number) {
    const { database, measured } = measuring(crossTenant.core);
    let left = batches;
    const progress = { examined: 0 };
    const run = {
      services: { ...app.services, crossTenant: { ...crossTenant, core: database } },
      now: at,
      progress,
      timeLeftMs: () => (left-- > 0 ? HOUR_MS : 0),
    } as unknown as JobRun;
    return { run, measured, progress };
  }

  it('are queued where a few are due, and in batches where all are', async () => {
    const few = measuredRun(now, 99);
    expect(await webhooksRetry.run(few.run)).toBe('completed');
    expect(few.progress.examined).toBe(BATCH);
    expectReads(few.measured, { rows: 2 * BATCH, pages: 31 });
    const all = measuredRun(addDays(now, 2), 3);
    expect(await webhooksRetry.run(all.run)).toBe('partial');
    expect(all.progress.examined).toBe(600);
    expectReads(all.measured, { rows: 600, pages: 12 });
  });

  it('are found, claimed and settled by their keys', async () => {
    const { run, measured } = measuredRun(now, 1);
    const due = ids
      .slice(0, 25)
      .map((id) => newEvent(WEBHOOK_DELIVERY_DUE, { tenant_id: 'globex', delivery_id: id, attempt: 0 }, now));
    const messages = [
      { body: Buffer.from(JSON.stringify(due)), messageId: 'm', contentType: null, properties: {} },
    ];
    await openBatch(run.services, 'webhook-deliveries', [deliveriesConsumer], messages).consume();
    const [row] = await app.admin.core`
      select count(*)::int as n from ops.webhook_deliveries where outcome = 'endpoint_deleted'`;
    expect(row?.['n']).toBe(25);
    expectReads(measured, { rows: 25, pages: 31 });
  });
});
