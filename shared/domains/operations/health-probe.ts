import { newId } from '../../platform/ids/ids.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { Job } from '../../platform/jobs/job.ts';
import { errorFields, log } from '../../platform/log/log.ts';
import { DAY_MS, MINUTE_MS } from '../../platform/time/clock.ts';
import { checkReadiness, OWN_SERVICE, statusOfAll, type ProbedServices, type Readiness } from './health.ts';

/** A dependency that needs longer works, but degraded. It answers a `select 1` or a ping within some milliseconds. */
const SLOW_MS = 500;
/** Minutes that a process keeps while analytics is unavailable. Older ones are lost. */
const WAITING_MAX = 120;
const SCORES = { healthy: 1, degraded: 0.5, unhealthy: 0 } as const;

/** The statuses of a check. */
export const HEALTH_STATUSES = ['healthy', 'degraded', 'unhealthy'] as const;
type HealthStatus = (typeof HEALTH_STATUSES)[number];

/** How long checks and their counts are kept: two days longer than the 90 days that the status page shows. */
const KEPT_MS = 92 * DAY_MS;
/** The checks, for the sweep of old rows. */
export const HEALTH_CHECKS = { table: 'system_health', timeColumn: 'checked_at', keptMs: KEPT_MS } as const;
/** Their counts, for the sweep of old rows. */
export const HEALTH_PERIODS = {
  table: 'ops.health_periods',
  timeColumn: 'period_start',
  keptMs: KEPT_MS,
} as const;

/** One check of one service at one minute. */
interface HealthCheck {
  readonly service_name: string;
  readonly check_type: 'ping' | 'readiness';
  readonly status: HealthStatus;
  readonly score: number;
  readonly latency_ms: number | null;
  /** Names of services, and why a server is refused. Never content. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly checked_at: Date;
}

/**
 * Probes the service and its dependencies, and writes a row of each. It runs while any of them is unavailable. While analytics is,
 * where the rows are, the process keeps the last two hours and writes them later. It always tells what is now: an `as_of` changes
 * nothing.
 */
export function healthProbe(services: () => ProbedServices): Job {
  let waiting: (readonly HealthCheck[])[] = [];
  return {
    name: 'health-probe',
    budgetMs: 50_000,
    runsWithoutCore: true,
    async run(run) {
      const probed = services();
      const now = probed.clock.now();
      const due = [...waiting, healthChecksOf(await checkReadiness(probed), now)].slice(-WAITING_MAX);
      waiting = [];
      try {
        for (let [minute] = due; minute !== undefined && run.timeLeftMs() > 0; [minute] = due) {
          await writeHealthChecks(probed.crossTenant.analytics, minute, now);
          due.shift();
        }
      } catch (error) {
        log.warn('health-not-written', { minutes: due.length, ...errorFields(error) });
      }
      waiting = [...due, ...waiting];
      run.progress.details['minutes_waiting'] = due.length;
      return due.length === 0 ? 'completed' : 'partial';
    },
  };
}

/** The rows of a probe. A dependency that is not configured has none. */
export function healthChecksOf({ dependencies }: Readiness, now: Date): HealthCheck[] {
  const at = new Date(Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS);
  const parts = dependencies.flatMap(({ name, status, latency_ms: latency, detail }) => {
    if (status === 'absent') return [];
    const seen: HealthStatus = status === 'healthy' && (latency ?? 0) > SLOW_MS ? 'degraded' : status;
    return [{ name, status: seen, latency, details: detail === undefined ? {} : { detail } }];
  });
  const status = statusOfAll(parts);
  const mean = parts.reduce((sum, part) => sum + SCORES[part.status], 0) / Math.max(1, parts.length);
  const namesOf = (wanted: HealthStatus): string[] =>
    parts.filter((part) => part.status === wanted).map((part) => part.name);
  return [
    {
      service_name: OWN_SERVICE,
      check_type: 'readiness',
      status,
      score: status === 'unhealthy' ? 0 : Math.round(mean * 1_000) / 1_000,
      latency_ms: null,
      details: { unhealthy: namesOf('unhealthy'), degraded: namesOf('degraded') },
      checked_at: at,
    },
    ...parts.map((part) => ({
      service_name: part.name,
      check_type: 'ping' as const,
      status: part.status,
      score: SCORES[part.status],
      latency_ms: part.latency,
      details: part.details,
      checked_at: at,
    })),
  ];
}

const CHECKS = recordset({
  id: 'uuid',
  service_name: 'text',
  check_type: 'text',
  status: 'text',
  score: 'float8',
  latency_ms: 'float8',
  details: 'jsonb',
  checked_at: 'timestamptz',
});

/**
 * Adds the checks of one minute, and counts those that are new. `status_since` continues from the service's check before, by the
 * time of the checks.
 */
const WRITE_SQL = `
with checked as materialized (select * from ${CHECKS.from('c', 2)}),
added as (
  insert into system_health (id, service_name, check_type, status, score, latency_ms, details, checked_at, status_since,
    created_at)
  select c.id, c.service_name, c.check_type, c.status, c.score, c.latency_ms, c.details, c.checked_at,
         case when l.status = c.status then l.status_since else c.checked_at end, $1
    from checked c
    left join lateral (
      select h.status, h.status_since from system_health h
       where h.service_name = c.service_name and h.check_type = c.check_type and h.checked_at < c.checked_at
       order by h.checked_at desc limit 1) l on true
   order by c.service_name
  on conflict (service_name, check_type, checked_at) do nothing
  returning service_name, status, checked_at)
insert into ops.health_periods as p (service_name, granularity, period_start, checks, degraded, unhealthy)
select a.service_name, g.granularity, date_trunc(g.granularity, a.checked_at, 'UTC'), 1,
       (a.status = 'degraded')::int, (a.status = 'unhealthy')::int
  from added a cross join (values ('hour'), ('day')) g (granularity)
 order by 1, 2
on conflict (service_name, granularity, period_start) do update
   set checks = p.checks + excluded.checks, degraded = p.degraded + excluded.degraded,
       unhealthy = p.unhealthy + excluded.unhealthy`;

/** Writes the checks of one minute. If the minute has checks already, those stay. */
export async function writeHealthChecks(
  analytics: CrossTenantDatabase,
  checks: readonly HealthCheck[],
  now: Date,
): Promise<void> {
  const rows = checks.map((check) => ({ id: newId(check.checked_at), ...check }));
  await analytics.query(WRITE_SQL, [now, ...CHECKS.parameters(rows)]);
}
