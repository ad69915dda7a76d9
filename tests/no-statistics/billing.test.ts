import { beforeAll, describe, expect, it } from 'vitest';
import { findExistingAnalyses } from '../../shared/domains/analysis/find-existing.ts';
import { releaseAbandoned } from '../../shared/domains/billing/metering/abandoned-reservations.ts';
import { resetDueAllowances } from '../../shared/domains/billing/metering/free-tier.ts';
import { findExistingMappings } from '../../shared/domains/mapping/find-existing.ts';
import { findExistingOrchestrations } from '../../shared/domains/orchestration/find-existing.ts';
import { addDays, HOUR_MS } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

const OWNERS = [findExistingAnalyses, findExistingMappings, findExistingOrchestrations];
const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { crossTenant } = app.services;

beforeAll(
  () =>
    fill(app.admin, [
      'mapper_requests',
      'orchestration_requests',
      'analysis_requests',
      'core_outbox',
      'billing_outbox',
      'analytics_outbox',
      'usage_reservations',
      'free_tier_usage',
      'free_tier_periods',
    ]),
  300_000,
);

describe('releasing abandoned reservations', () => {
  async function release(at: Date, pages: number) {
    const own = [crossTenant.core, crossTenant.billing, crossTenant.analytics].map(measuring);
    const [core, billing, analytics] = own.map(({ database }) => database);
    const services = { crossTenant: { core, billing, analytics } as never };
    let left = pages;
    const outcome = await releaseAbandoned(services, OWNERS, at, () => --left > 0);
    return { outcome, measured: own.flatMap(({ measured }) => measured) };
  }

  it('reads only the old ones if there are a few', async () => {
    const { outcome, measured } = await release(now, 9);
    expect(outcome).toEqual({ examined: BATCH, released: BATCH });
    expectReads(measured, { rows: BATCH, pages: 8 });
  });

  it('reads only its pages if all are old', async () => {
    const { outcome, measured } = await release(new Date(now.getTime() + HOUR_MS), 3);
    expect(outcome).toEqual({ examined: 1500, released: 0 });
    expectReads(measured, { rows: 500, pages: 5 });
  });
});

describe('resetting allowances', () => {
  it('reads only the due ones if there are a few', async () => {
    const { database, measured } = measuring(crossTenant.billing);
    expect(await resetDueAllowances(database, now)).toBe(BATCH);
    expectReads(measured, { rows: BATCH, pages: 31 });
  });

  it('reads only its batches if all are due', async () => {
    const { database, measured } = measuring(crossTenant.billing);
    let left = 2;
    expect(await resetDueAllowances(database, addDays(now, 32), { goOn: () => --left > 0 })).toBe(1000);
    expectReads(measured, { rows: 500, pages: 23 });
  });
});
