import { beforeAll, describe, expect, it } from 'vitest';
import { MAPPING_WRITE, prepareMappings } from '../../shared/domains/mapping/record-mapping.ts';
import { newMapping } from '../../shared/domains/mapping/schemas.ts';
import { leftoversSweep } from '../../shared/domains/operations/sweep-leftovers.ts';
import { fingerprintOf } from '../../shared/platform/call/idempotency-key.ts';
import { Problem } from '../../shared/platform/call/problem.ts';
import type { JobRun } from '../../shared/platform/jobs/job.ts';
import { closeInterruptedRuns } from '../../shared/platform/jobs/run-ledger.ts';
import { addDays, HOUR_MS, MINUTE_MS } from '../../shared/platform/time/clock.ts';
import { deleteFromOutbox, readOutbox } from '../../shared/platform/writes/outbox.ts';
import { writeItems } from '../../shared/platform/writes/write-items.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring, measuringTenant } from '../harness/measured-database.ts';
import { makeCall } from '../harness/own-call.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, ids, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { crossTenant } = app.services;

beforeAll(
  () =>
    fill(app.admin, [
      'storage_records',
      'mapper_requests',
      'mapper_responses',
      'core_outbox',
      'core_idempotency',
      'billing_idempotency',
      'analytics_idempotency',
      'consumed_events',
      'retention_runs',
      'webhook_deliveries',
    ]),
  300_000,
);

const FIRST_ID = '00000000-0000-0000-0000-000000000000';

it('a batch of writes reads only its own keys, and when repeated only its own answers', async () => {
  const call = await makeCall(app.services, { tenant: 'acme', route: 'mappings-create' });
  const { database, measured } = measuringTenant(call.tenant);
  const own = { ...call, tenant: database, databases: { ...call.databases, core: database } };
  const mappings = ids.slice(0, 25).map((key, n) => ({
    body: newMapping.parse({
      detector: 'd',
      source_data: `${n}`,
      model_version: 'v1',
      response: RESPONSE,
    }),
    claim: { key, fingerprint: fingerprintOf(n) },
  }));
  const write = async () => {
    const items = (await prepareMappings(own, mappings)).flatMap((item) =>
      item instanceof Problem ? [] : [item],
    );
    return new Set((await writeItems(own, MAPPING_WRITE, items)).map(({ outcome }) => outcome));
  };
  expect(await write()).toEqual(new Set(['created']));
  expect(await write()).toEqual(new Set(['duplicate']));
  expectReads(measured, { rows: 25, pages: 52 });
});

const RESPONSE = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 1 },
  confidence: 1,
  processing_time_ms: 1,
  model_used: 'm',
};

describe('relaying the outbox', () => {
  async function relay(before: Date, pages: number) {
    const { database, measured } = measuring(crossTenant.core);
    const read: number[] = [];
    let afterId = FIRST_ID;
    for (let page = 1; page <= pages; page++) {
      const rows = await readOutbox(database, { before, afterId, limit: 200 });
      read.push(rows.length);
      afterId = rows.at(-1)?.id ?? afterId;
      const entries = rows.map(({ id }) => ({ id, database: 'core' as const }));
      await deleteFromOutbox({ ...crossTenant, core: database }, entries);
    }
    return { read, measured };
  }

  it('reads only the old rows if there are a few', async () => {
    const { read, measured } = await relay(new Date(now.getTime() - 10 * MINUTE_MS), 2);
    expect(read).toEqual([BATCH, 0]);
    expectReads(measured, { rows: BATCH, pages: 2 });
  });

  it('reads only its pages if all rows are old', async () => {
    const { read, measured } = await relay(new Date(now.getTime() + HOUR_MS), 3);
    expect(read).toEqual([200, 200, 200]);
    expectReads(measured, { rows: 200, pages: 2 });
  });
});

describe('sweeping leftovers', () => {
  async function sweep(at: Date, hasTime: () => boolean) {
    const own = [crossTenant.core, crossTenant.billing, crossTenant.analytics].map(measuring);
    const [core, billing, analytics] = own.map(({ database }) => database);
    const progress = { examined: 0, deleted: 0, details: {} };
    const run = {
      services: { crossTenant: { core, billing, analytics } },
      now: at,
      progress,
      timeLeftMs: () => (hasTime() ? HOUR_MS : 0),
    };
    await leftoversSweep.run(run as unknown as JobRun);
    return { progress, measured: own.flatMap(({ measured }) => measured) };
  }

  it('reads only the old ones if there are a few, and hardly anything when they are gone', async () => {
    const { progress, measured } = await sweep(now, () => true);
    expect(progress.details).toEqual({
      idempotency: 3 * BATCH,
      consumed_events: BATCH,
      retention_runs: BATCH,
      webhook_deliveries: BATCH,
      // Tables without old rows. tests/no-statistics/service-health.test.ts and alerts.test.ts fill them.
      system_health: 0,
      health_periods: 0,
      alert_history: 0,
    });
    const again = await sweep(now, () => true);
    expect(again.progress.deleted).toBe(0);
    expectReads([...measured, ...again.measured], { rows: BATCH, pages: 4 });
  });

  it('reads only its batches if all are old', async () => {
    let asked = 0;
    // Two batches of each table; of runs that did nothing there are none left.
    const { progress, measured } = await sweep(addDays(now, 200), () => asked++ % 3 < 2);
    expect(progress.deleted).toBe(5 * 2 * 5000);
    expectReads(measured, { rows: 5000, pages: 4 });
  });
});

it('closing a job’s interrupted runs reads only the open ones', async () => {
  const { database, measured } = measuring(crossTenant.core);
  await closeInterruptedRuns(database, 'job-1', now);
  expectReads(measured, { rows: 1, pages: 3 });
});
