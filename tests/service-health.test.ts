import { describe, expect, it, onTestFinished } from 'vitest';
import { openServices, type Services } from '../functions/services.ts';
import type { ProbedServices, Readiness } from '../shared/domains/operations/health.ts';
import { healthMeasure } from '../shared/domains/operations/health-measure.ts';
import { healthChecksOf, healthProbe, writeHealthChecks } from '../shared/domains/operations/health-probe.ts';
import { readServiceStatus } from '../shared/domains/operations/health-status.ts';
import { leftoversSweep } from '../shared/domains/operations/sweep-leftovers.ts';
import { DependencyUnavailable } from '../shared/platform/db/errors.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { addDays, clockAt, DAY_MS, HOUR_MS, MINUTE_MS } from '../shared/platform/time/clock.ts';
import { startTestApp } from './harness/app.ts';
import { intercepted } from './harness/metered-tenant.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus'] });
const { operator, acme } = app.keys;
const sql = app.admin.analytics;
const NAMES = ['analytics', 'backend', 'billing', 'blob', 'core', 'redis', 'service_bus'];

/** Nothing listens there. */
const NOWHERE = 'postgres://comply_jobs:x@127.0.0.1:1/nothing';
const openWith = (settings: object): Services => {
  const services = openServices({ ...app.settings, ...settings });
  onTestFinished(() => services.close());
  return services;
};
/** The app's services at a time. Each object has its own memory of answers. */
const at = (now: Date, changes: Partial<ProbedServices> = {}): ProbedServices => {
  const { crossTenant, cache, bus, blobs, dataKeys } = app.services;
  return { clock: clockAt(now), crossTenant, cache, bus, blobs, dataKeys, ...changes };
};
const probe = (services: ProbedServices, jobServices = app.services) =>
  runJob(
    jobServices,
    healthProbe(() => services),
    { triggeredBy: 'test' },
  );
const clear = () => sql`truncate system_health, ops.health_periods`;
const rows = () => sql`
  select service_name, check_type, status, score, latency_ms, details, checked_at, status_since from system_health
   order by checked_at, service_name`;
const statusAt = async (services: ProbedServices) => {
  const { body } = await readServiceStatus(services);
  return body as Extract<typeof body, { status: string }>;
};
const minute = (n: number): Date =>
  new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS + n * MINUTE_MS);

const DEPENDENCIES = ['core', 'billing', 'analytics', 'redis', 'service_bus', 'blob'] as const;
/** Checks in which these are unavailable, or slow. */
const checksAt = (now: Date, down: readonly string[] = [], slow: readonly string[] = []) => {
  const dependencies = DEPENDENCIES.map((name) => ({
    name,
    status: down.includes(name) ? ('unhealthy' as const) : ('healthy' as const),
    latency_ms: down.includes(name) ? null : slow.includes(name) ? 900 : 2,
  }));
  const readiness: Readiness = { status: 'healthy', checked_at: now.toISOString(), dependencies };
  return healthChecksOf(readiness, now);
};
const write = (now: Date, down: readonly string[] = [], slow: readonly string[] = []) =>
  writeHealthChecks(app.services.crossTenant.analytics, checksAt(now, down, slow), now);

describe('the probe', () => {
  it('writes a row of each service a minute, once, and tells Redis', async () => {
    await clear();
    const now = new Date();
    expect(await probe(at(now))).toMatchObject({ status: 'completed', examined: 0 });
    expect(await probe(at(now))).toMatchObject({ status: 'completed' });
    const written = await rows();
    expect(written.map((row) => row['service_name'])).toEqual(NAMES);
    for (const row of written) {
      const isOwn = row['service_name'] === 'backend';
      expect(row).toMatchObject({
        check_type: isOwn ? 'readiness' : 'ping',
        checked_at: new Date(Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS),
      });
      expect(['healthy', 'degraded']).toContain(row['status']);
    }
    const counts =
      await sql`select granularity, sum(checks)::int as n from ops.health_periods group by 1 order by 1`;
    expect([...counts]).toEqual([
      { granularity: 'day', n: 7 },
      { granularity: 'hour', n: 7 },
    ]);
    const client = await app.services.cache.client();
    const keys = (await client?.keys(`${app.settings.REDIS_KEY_PREFIX}health:*`)) ?? [];
    const told = keys.map((key) => key.split(':').at(-2)).sort();
    expect([...new Set(told)]).toEqual(NAMES);
  });

  it('runs and writes while core is unavailable, where its ledger and its lock are', async () => {
    await clear();
    const services = openWith({ CORE_CROSS_TENANT_DATABASE_URL: NOWHERE, CORE_DATABASE_URL: NOWHERE });
    const { crossTenant, cache, bus, blobs } = services;
    const summary = await probe(at(minute(1), { crossTenant, cache, bus, blobs }), services);
    expect(summary).toMatchObject({ job: 'health-probe', status: 'completed', triggered_by: 'test' });
    const [run] = await app.admin.core`select from retention_runs where run_id = ${summary.run_id}`;
    expect(run).toBeUndefined();
    const found = Object.fromEntries((await rows()).map((row) => [row['service_name'], row['status']]));
    expect(found).toMatchObject({ core: 'unhealthy', backend: 'unhealthy', billing: 'healthy' });
  });

  it('is no exception for other jobs: without core they fail', async () => {
    const services = openWith({ CORE_CROSS_TENANT_DATABASE_URL: NOWHERE });
    await expect(runJob(services, leftoversSweep, { triggeredBy: 'test' })).rejects.toThrow();
  });

  it('keeps what it saw while analytics is unavailable, and writes it with the next run', async () => {
    await clear();
    let isGone = true;
    const analytics = intercepted(app.services.crossTenant.analytics, () => {
      if (isGone) throw new DependencyUnavailable('The database');
    });
    const crossTenant = { ...app.services.crossTenant, analytics };
    let now = minute(0);
    // The memory of the answer is the services’: each minute has its own.
    const job = healthProbe(() => at(now, { crossTenant }));
    const run = () => runJob(app.services, job, { triggeredBy: 'test' });
    for (const n of [1, 2]) {
      now = minute(n);
      expect(await run()).toMatchObject({ status: 'partial', details: { minutes_waiting: n } });
    }
    expect(await rows()).toHaveLength(0);
    isGone = false;
    now = minute(3);
    expect(await run()).toMatchObject({ status: 'completed', details: { minutes_waiting: 0 } });
    const own = (await rows()).filter((row) => row['service_name'] === 'analytics');
    expect(own.map((row) => [row['checked_at'], row['status'], row['status_since']])).toEqual([
      [minute(1), 'unhealthy', minute(1)],
      [minute(2), 'unhealthy', minute(1)],
      [minute(3), 'healthy', minute(3)],
    ]);
  });

  it('says since when a status lasts, also where a check comes late', async () => {
    await clear();
    for (const n of [1, 2, 5]) await write(minute(n));
    await write(minute(3), ['blob']);
    await write(minute(6));
    const seen = (await rows()).filter((row) => row['service_name'] === 'blob');
    expect(seen.map((row) => [row['status'], row['status_since']])).toEqual([
      ['healthy', minute(1)],
      ['healthy', minute(1)],
      ['unhealthy', minute(3)],
      ['healthy', minute(1)],
      ['healthy', minute(1)],
    ]);
  });

  it('calls what answers slowly degraded, and gives a score', () => {
    const byName = (down: readonly string[], slow: readonly string[]) =>
      Object.fromEntries(
        checksAt(minute(0), down, slow).map(({ service_name, status, score }) => [
          service_name,
          [status, score],
        ]),
      );
    expect(byName([], ['core'])).toMatchObject({
      core: ['degraded', 0.5],
      billing: ['healthy', 1],
      backend: ['degraded', 0.917],
    });
    expect(byName(['blob'], [])).toMatchObject({ blob: ['unhealthy', 0], backend: ['degraded', 0.833] });
    expect(byName(['billing'], [])).toMatchObject({ backend: ['unhealthy', 0] });
  });
});

describe('GET /status', () => {
  it('is for everybody, coarse, kept for some seconds, and names no part of the system', async () => {
    await clear();
    await write(new Date(), ['redis']);
    const answer = await app.request('GET', '/api/v1/status');
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'public, max-age=10']);
    expect(answer.body.status).toBe('degraded');
    const names = answer.body.components.map((one: { name: string }) => one.name);
    expect(names).toEqual(['api', 'evidence', 'billing', 'analytics', 'cache', 'events', 'archive']);
    expect(JSON.stringify(answer.body)).not.toMatch(/redis|postgres|core|service_bus|latency|detail/i);
    await write(new Date(Date.now() + MINUTE_MS), ['core']);
    expect((await app.request('GET', '/api/v1/status')).body).toEqual(answer.body);
  });

  it('says what is down since when, and what share of 24 hours and of 90 days was up', async () => {
    await clear();
    const now = minute(30);
    // A day of 10 checks 40 days ago, five of them down; another 100 days ago does not count.
    for (let n = 0; n < 10; n++)
      await write(new Date(now.getTime() - 40 * DAY_MS + n * MINUTE_MS), n < 5 ? ['billing'] : []);
    await write(new Date(now.getTime() - 100 * DAY_MS), ['billing']);
    await write(new Date(now.getTime() - 2 * HOUR_MS));
    for (const n of [1, 2]) await write(new Date(now.getTime() - (3 - n) * MINUTE_MS), ['billing']);
    await write(now, ['billing']);
    const { status, components } = await statusAt(at(now));
    expect(status).toBe('down');
    const of = (name: string) => components.find((one) => one.name === name);
    expect(of('billing')).toMatchObject({ status: 'down', uptime_24h: 0.25, uptime_90d: 0.428571 });
    expect(Date.parse(of('billing')?.since ?? '')).toBe(now.getTime() - 2 * MINUTE_MS);
    expect(of('evidence')).toMatchObject({ status: 'operational', uptime_24h: 1, uptime_90d: 1 });
  });

  it('is unknown without a check, with only old ones or ones from the future, and while analytics is unavailable', async () => {
    await clear();
    const now = minute(30);
    const unknown = async (services: ProbedServices) => {
      const { status, components } = await statusAt(services);
      expect([status, ...new Set(components.map((one) => one.status))]).toEqual(['unknown', 'unknown']);
      return components;
    };
    await unknown(at(now));
    await write(new Date(now.getTime() - 6 * MINUTE_MS));
    await write(addDays(now, 365), ['core']);
    const old = await unknown(at(now));
    expect(old[0]).toMatchObject({ since: null, uptime_24h: 1 });
    await write(now);
    const analytics = intercepted(app.services.crossTenant.analytics, () => {
      throw new DependencyUnavailable('The database');
    });
    await unknown(at(now, { crossTenant: { ...app.services.crossTenant, analytics } }));
    expect((await statusAt(at(now))).status).toBe('operational');
  });

  it('leaves out what is not configured', async () => {
    const services = openWith({ REDIS_URL: undefined });
    const { components } = await statusAt({ ...at(minute(30)), cache: services.cache });
    expect(components.map((one) => one.name)).not.toContain('cache');
  });
});

describe('GET /platform/health/history', () => {
  const list = (query: string, key = operator) =>
    app.request('GET', `/api/v1/platform/health/history?${query}`, { key });

  it('lists checks by service, status and time, page by page, for operators only', async () => {
    await clear();
    for (let n = 0; n < 6; n++) await write(minute(n), n % 2 === 0 ? ['blob'] : []);
    expect((await list('', acme.owner)).status).toBe(403);
    const all = (await list('limit=500')).body.items;
    expect(all).toHaveLength(42);
    const query = `service=blob&status=unhealthy&from=${minute(1).toISOString()}&to=${minute(5).toISOString()}`;
    const narrowed = (await list(query)).body.items;
    expect(narrowed.map((one: { checked_at: string }) => Date.parse(one.checked_at))).toEqual([
      minute(4).getTime(),
      minute(2).getTime(),
    ]);
    expect(narrowed[0]).toMatchObject({ service_name: 'blob', status: 'unhealthy', latency_ms: null });
    const seen: string[] = [];
    for (let next: string | undefined = '/api/v1/platform/health/history?limit=10&sort=checked_at'; next;) {
      const page = await app.request('GET', next, { key: operator });
      seen.push(...page.body.items.map((one: { id: string }) => one.id));
      next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect([seen.length, new Set(seen).size]).toEqual([42, 42]);
    for (const wrong of ['service=disk', 'status=fine', 'from=yesterday'])
      expect((await list(wrong)).status).toBe(400);
  });
});

describe('health-measure', () => {
  const measure = (now: Date) => runJob(app.services, healthMeasure, { triggeredBy: 'test', asOf: now });
  const points = () => sql`
    select service_name, metric_name, metric_value, metric_unit, measured_at, metadata from performance_metrics
     where tenant_id = 'platform' order by measured_at, service_name, metric_name`;

  it('writes each hour’s figures once, makes up for missed hours, and is not stopped by a clock that was wrong', async () => {
    await clear();
    const start = minute(0);
    const hours = (n: number): Date => new Date(start.getTime() + n * HOUR_MS);
    for (const n of [0, 1, 2])
      for (const m of [1, 2, 3, 4])
        await write(new Date(hours(n).getTime() + m * MINUTE_MS), m === 1 ? ['core'] : []);
    // A clock that was a year ahead.
    await measure(addDays(start, 365));
    expect((await points()).filter((row) => row['measured_at'] <= hours(5))).toEqual([]);
    await measure(new Date(hours(1).getTime() + 5 * MINUTE_MS));
    await measure(new Date(hours(3).getTime() + 5 * MINUTE_MS));
    const before = await points();
    await measure(new Date(hours(3).getTime() + 6 * MINUTE_MS));
    expect(await points()).toEqual(before);
    const core = before.filter((row) => row['service_name'] === 'core');
    const ofHour = (n: number) => [
      { metric_name: 'availability', metric_value: 0.75, measured_at: hours(n), metric_unit: 'ratio' },
      { metric_name: 'probe_latency_mean', metric_value: 2, measured_at: hours(n), metric_unit: 'ms' },
      { metric_name: 'probe_latency_p95', metric_value: 2, measured_at: hours(n), metric_unit: 'ms' },
    ];
    expect(core).toMatchObject([...ofHour(0), ...ofHour(1), ...ofHour(2)]);
    expect(core[0]?.['metadata']).toEqual({ period: 'hour', checks: 4 });
    const path = '/api/v1/performance-metrics?service_name=core';
    expect((await app.request('GET', path, { key: operator })).body.items).toHaveLength(9);
    expect((await app.request('GET', path, { key: acme.owner })).body.items).toEqual([]);
  });
});

describe('leftovers-sweep', () => {
  it('deletes checks and their counts after 92 days, and alerts 400 days after they were resolved', async () => {
    await clear();
    const now = new Date();
    await write(addDays(now, -93));
    await write(addDays(now, -91));
    for (const days of [399, 401])
      await sql`
        insert into alert_history (tenant_id, alert_id, config_id, config_name, condition, severity, status, measured_value,
          triggered_at, resolved_at, resolution)
        values ('acme', gen_random_uuid(), gen_random_uuid(), ${`of ${days}`}, '{}', 'low', 'resolved', 1,
                ${addDays(now, -500)}, ${addDays(now, -days)}, 'recovered')`;
    await sql`
      insert into alert_history (tenant_id, alert_id, config_id, config_name, condition, severity, status, measured_value, triggered_at)
      values ('acme', gen_random_uuid(), gen_random_uuid(), 'open', '{}', 'low', 'triggered', 1, ${addDays(now, -500)})`;
    await runJob(app.services, leftoversSweep, { triggeredBy: 'test' });
    expect(await rows()).toHaveLength(7);
    expect(await sql`select from ops.health_periods where period_start < ${addDays(now, -92)}`).toHaveLength(
      0,
    );
    const left = await sql`select config_name from alert_history where tenant_id = 'acme' order by 1`;
    expect(left.map((row) => row['config_name'])).toEqual(['of 399', 'open']);
  });
});
