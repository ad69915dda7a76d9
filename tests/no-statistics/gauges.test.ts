import { beforeAll, describe, expect, it } from 'vitest';
import { measureStripe } from '../../shared/domains/billing/stripe/measure-stripe.ts';
import { mappingIdsSql } from '../../shared/domains/mapping/ids.ts';
import { expiringRecordsOf } from '../../shared/domains/records/expiring.ts';
import { overdueOf } from '../../shared/domains/records/expiry/count-overdue.ts';
import { openInQuarantine } from '../../shared/platform/consume/quarantine.ts';
import { lastCompleted } from '../../shared/platform/jobs/run-ledger.ts';
import { addDays } from '../../shared/platform/time/clock.ts';
import { measureOutbox } from '../../shared/platform/writes/outbox.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { crossTenant } = app.services;
const JOBS = Array.from({ length: 10 }, (_, n) => `job-${n}`);

beforeAll(
  () => fill(app.admin, ['core_outbox', 'quarantine', 'retention_runs', 'stripe_events', 'archived_records']),
  300_000,
);

describe('telemetry-gauges', () => {
  it('counts an outbox up to its limit, and no further', async () => {
    const { database, measured } = measuring(crossTenant.core);
    expect(await measureOutbox(database)).toMatchObject({ rows: 5_000, oldest: expect.any(String) });
    expectReads(measured, { rows: 5_000, pages: 2 });
  });

  it('looks at the newest messages in quarantine only', async () => {
    const { database, measured } = measuring(crossTenant.core);
    expect(await openInQuarantine(database)).toEqual(new Map([['audit-events', 1_000]]));
    expectReads(measured, { rows: 1_000, pages: 2 });
  });

  it('reads a run of each job, or its newest ones when none of them completed', async () => {
    const completed = measuring(crossTenant.core);
    expect((await lastCompleted(completed.database, [...JOBS, 'never-ran'])).size).toBe(10);
    expectReads(completed.measured, { rows: 10, pages: 10 });
    await app.admin.core`update retention_runs set status = 'failed', finished_at = started_at`;
    const failed = measuring(crossTenant.core);
    expect((await lastCompleted(failed.database, JOBS)).size).toBe(10);
    expectReads(failed.measured, { rows: 4_000, pages: 4 });
  });

  it('reads the waiting events of Stripe, if there are few or many', async () => {
    const many = measuring(crossTenant.billing);
    expect(await measureStripe({ crossTenant: { billing: many.database } })).toEqual({
      mismatches: 0,
      waiting: 1_000,
    });
    expectReads(many.measured, { rows: 1_000, pages: 2 });
    await app.admin
      .billing`update stripe_events set status = 'processed' where event_id not in ('evt_1', 'evt_2')`;
    await app.admin.billing`vacuum stripe_events`; // the dead entries of this update, which no traffic makes at once
    const few = measuring(crossTenant.billing);
    expect(await measureStripe({ crossTenant: { billing: few.database } })).toEqual({
      mismatches: 0,
      waiting: 2,
    });
    expectReads(few.measured, { rows: 1_000, pages: 2 });
  });

  it('judges the first and the last expired records only', async () => {
    const count = overdueOf(expiringRecordsOf(mappingIdsSql));
    const none = measuring(crossTenant.core);
    await count({ crossTenant: { core: none.database } }, now);
    expectReads(none.measured, { rows: 1_000, pages: 8 });
    const all = measuring(crossTenant.core);
    expect(await count({ crossTenant: { core: all.database } }, addDays(now, 400))).toBe(1_000);
    expectReads(all.measured, { rows: 1_000, pages: 30 });
  });
});
