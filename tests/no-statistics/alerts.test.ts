import { beforeAll, describe, expect, it } from 'vitest';
import { settleBatch } from '../../shared/domains/alerts/settle-batch.ts';
import { nextConfigs, nextOpenAlerts } from '../../shared/domains/alerts/watched-configs.ts';
import { sumUsage } from '../../shared/domains/analytics/sum-usage.ts';
import { readUsedShares } from '../../shared/domains/billing/metering/used-shares.ts';
import { measureMappings } from '../../shared/domains/mapping/measure.ts';
import {
  countFailedDetectors,
  countFailedOrchestrations,
  measureOrchestrations,
} from '../../shared/domains/orchestration/measure.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { HOUR_MS } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { core, billing, analytics } = app.services.crossTenant;
/** The most rows that a window is judged by. */
const SAMPLE = 1_000;

const few = { tenant_id: 'globex', from: new Date(now.getTime() - 2 * HOUR_MS), to: now };
const all = { ...few, tenant_id: 'acme' };

beforeAll(
  () =>
    fill(app.admin, [
      'orchestration_requests',
      'failed_responses',
      'failed_results',
      'mapper_requests',
      'mapper_responses',
      'free_tier_usage',
      'usage_metrics',
      'alert_configs',
      'alert_history',
    ]),
  300_000,
);

describe('a window is measured', () => {
  it('of few orchestrations, and of more than are judged', async () => {
    const { database, measured } = measuring(core);
    const [globex] = await measureOrchestrations(database, [{ ...few, coverage_below: 1 }]);
    expect(globex).toMatchObject({ finished: BATCH, failed: BATCH, below: 0 });
    expectReads(measured.splice(0), { rows: BATCH, pages: 10 });
    const [acme] = await measureOrchestrations(database, [{ ...all, coverage_below: 1 }]);
    expect(acme).toMatchObject({ finished: SAMPLE });
    expectReads(measured, { rows: SAMPLE, pages: 10 });
  });

  it('of few mappings, and of more than are judged', async () => {
    const { database, measured } = measuring(core);
    expect((await measureMappings(database, [few]))[0]).toMatchObject({ answered: BATCH });
    expectReads(measured.splice(0), { rows: BATCH, pages: 10 });
    expect((await measureMappings(database, [all]))[0]).toMatchObject({ answered: SAMPLE });
    expectReads(measured, { rows: SAMPLE, pages: 10 });
  });

  it('of failures, without what went well', async () => {
    const { database, measured } = measuring(core);
    expect(await countFailedOrchestrations(database, [few, all])).toEqual([BATCH, 0]);
    expect(await countFailedDetectors(database, [few, all])).toEqual([BATCH, 0]);
    expectReads(measured, { rows: BATCH, pages: 10 });
  });

  it('of usage', async () => {
    const ofBilling = measuring(billing);
    const shares = await readUsedShares(
      ofBilling.database,
      Array.from({ length: BATCH }, (_, n) => ({
        tenant_id: `tenant-${n + 1}`,
        usage_type: `type-${n + 1}`,
      })),
      now,
    );
    expect(shares).toEqual(Array<number>(BATCH).fill(0));
    expectReads(ofBilling.measured, { rows: BATCH, pages: 10 });
    const ofAnalytics = measuring(analytics);
    const amounts = await sumUsage(
      ofAnalytics.database,
      Array.from({ length: BATCH }, (_, n) => ({
        tenant_id: 'acme',
        usage_type: `type-${n + 1}`,
        usage_unit: '',
        hours: 744,
      })),
      now,
    );
    expect(amounts).toEqual(Array<number>(BATCH).fill(1));
    expectReads(ofAnalytics.measured, { rows: BATCH, pages: 10 });
  });
});

describe('the evaluator', () => {
  it('reads active configurations with their open alerts', async () => {
    const { database, measured } = measuring(analytics);
    const configs = await nextConfigs(database);
    expect(configs).toHaveLength(BATCH);
    expectReads(measured, { rows: BATCH, pages: 10 });
  });

  it('raises the alerts of a batch, and ends those whose configurations are gone', async () => {
    const configs = await nextConfigs(analytics);
    const { database, measured } = measuring(analytics);
    const raised = configs.map(({ tenant_id, config_id, version }) => {
      const row = { tenant_id, config_id, version, alert_id: newId() };
      return { ...row, measured_value: 1, sample_count: 1 };
    });
    const open = await nextOpenAlerts(database);
    expect(open).toHaveLength(BATCH);
    const ended = open.map(({ tenant_id, config_id, alert_id }) => {
      return { tenant_id, config_id, alert_id, version: null, resolution: 'config_deleted' as const };
    });
    const settled = await settleBatch(database, { raised, ended }, now);
    expect(settled).toMatchObject({ triggered: BATCH, resolved: BATCH });
    expectReads(measured, { rows: 2 * BATCH, pages: 15 });
  });
});
