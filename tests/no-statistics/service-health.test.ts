import { beforeAll, describe, expect, it } from 'vitest';
import { measureHour } from '../../shared/domains/operations/health-measure.ts';
import {
  HEALTH_CHECKS,
  HEALTH_PERIODS,
  writeHealthChecks,
} from '../../shared/domains/operations/health-probe.ts';
import { readRows } from '../../shared/domains/operations/health-status.ts';
import { readPlatformKeyset, when } from '../../shared/platform/db/keyset.ts';
import { HOUR_MS, MINUTE_MS } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { analytics } = app.services.crossTenant;

beforeAll(() => fill(app.admin, ['system_health', 'health_periods']), 300_000);

describe('the service’s health', () => {
  it('is read for the status page: the last checks, and the counts of a day', async () => {
    const { database, measured } = measuring(analytics);
    const [core] = await readRows(database, ['core'], now);
    expect(core).toMatchObject({ status: 'unhealthy' });
    // 24 hours of one service.
    expectReads(measured, { rows: 25, pages: 10 });
  });

  it('is written with the check before', async () => {
    const { database, measured } = measuring(analytics);
    const check = {
      service_name: 'core',
      check_type: 'ping',
      status: 'unhealthy',
      score: 0,
      latency_ms: null,
      details: {},
      checked_at: new Date(Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS + MINUTE_MS),
    } as const;
    await writeHealthChecks(database, [check], now);
    expectReads(measured, { rows: 5, pages: 15 });
  });

  it('is summed up by the hour', async () => {
    const { database, measured } = measuring(analytics);
    const hour = new Date(Math.floor(now.getTime() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS);
    expect(await measureHour(database, hour)).toHaveLength(3);
    expectReads(measured, { rows: 60, pages: 10 });
  });

  it('is listed by service and status in the order of an index', async () => {
    const { database, measured } = measuring(analytics);
    const list = {
      table: HEALTH_CHECKS.table,
      columns: 'id, checked_at',
      timeColumn: HEALTH_CHECKS.timeColumn,
      idColumn: 'id',
      idType: 'uuid',
      conditions: [...when('service_name = ?', 'core'), ...when('status = ?', 'unhealthy')],
    } as const;
    const page = { limit: BATCH - 1, descending: false, after: undefined };
    expect(await readPlatformKeyset(database, list, page)).toHaveLength(BATCH);
    expectReads(measured, { rows: BATCH, pages: 10 });
    expect(HEALTH_PERIODS.keptMs).toBe(HEALTH_CHECKS.keptMs);
  });
});
