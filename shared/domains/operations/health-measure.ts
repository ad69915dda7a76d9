import { z } from 'zod';
import {
  writePlatformPerformance,
  type PlatformPerformance,
} from '../analytics/write-platform-performance.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { Job } from '../../platform/jobs/job.ts';
import { HOUR_MS } from '../../platform/time/clock.ts';

/** Hours that a run makes up for. Older ones stay without figures; the checks themselves are kept. */
const HOURS_MAX = 48;
const position = z.object({ until: z.iso.datetime() });

/**
 * Sums up each past hour's checks as the platform's performance metrics: how long a dependency took to answer, and how much of the
 * hour it was there. Each hour is written once, whoever runs it and how often.
 */
export const healthMeasure: Job = {
  name: 'health-measure',
  budgetMs: 60_000,
  async run(run) {
    const { analytics } = run.services.crossTenant;
    const end = Math.floor(run.now.getTime() / HOUR_MS) * HOUR_MS;
    const before = Date.parse((await run.position(position))?.until ?? '');
    // Without a position, or with one that is ahead because a clock was wrong: the last hour.
    let from = before <= end ? Math.max(before, end - HOURS_MAX * HOUR_MS) : end - HOUR_MS;
    let written = 0;
    for (; from < end && run.timeLeftMs() > 0; from += HOUR_MS) {
      const points = await measureHour(analytics, new Date(from));
      written += await writePlatformPerformance(analytics, points, run.now);
      await run.savePosition({ until: new Date(from + HOUR_MS).toISOString() });
    }
    run.progress.details['points'] = written;
    return from >= end ? 'completed' : 'partial';
  },
};

interface MeasuredHour {
  readonly [column: string]: unknown;
  readonly service_name: string;
  readonly checks: number;
  readonly availability: number;
  readonly mean: number | null;
  readonly p95: number | null;
}

/** The figures of one hour. */
export async function measureHour(
  analytics: CrossTenantDatabase,
  hour: Date,
): Promise<PlatformPerformance[]> {
  const rows = await analytics.query<MeasuredHour>(
    `select service_name, count(*)::int as checks, 1 - avg((status = 'unhealthy')::int)::float8 as availability,
            avg(latency_ms) as mean, percentile_cont(0.95) within group (order by latency_ms) as p95
       from system_health where checked_at >= $1 and checked_at < $2 group by service_name order by service_name`,
    [hour, new Date(hour.getTime() + HOUR_MS)],
  );
  return rows.flatMap(({ service_name, checks, availability, mean, p95 }) => {
    const common = { service_name, measured_at: hour, metadata: { period: 'hour', checks } };
    const latencies = [
      { metric_name: 'probe_latency_mean', metric_value: mean },
      { metric_name: 'probe_latency_p95', metric_value: p95 },
    ].flatMap(({ metric_name, metric_value }) =>
      metric_value === null ? [] : [{ ...common, metric_name, metric_value, metric_unit: 'ms' }],
    );
    return [
      { ...common, metric_name: 'availability', metric_value: availability, metric_unit: 'ratio' },
      ...latencies,
    ];
  });
}
