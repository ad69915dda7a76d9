import { z } from 'zod';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { errorFields, log } from '../../platform/log/log.ts';
import { DAY_MS, MINUTE_MS } from '../../platform/time/clock.ts';
import { OWN_SERVICE, type ProbedServices } from './health.ts';

/** Anyone may ask, so an answer is shared for this time: by this process, and by what is between it and the client. */
const ANSWER_TTL_S = 10;
/** A check older than this says nothing about now. The probe runs every minute. */
const FRESH_MS = 5 * MINUTE_MS;
/** A check may be dated this far ahead, by the clock of another machine. A later one is no check of now. */
const AHEAD_MS = MINUTE_MS;

/** The public names of what is probed. They say what does not work, not what it is built of. */
const COMPONENTS = {
  [OWN_SERVICE]: 'api',
  core: 'evidence',
  billing: 'billing',
  analytics: 'analytics',
  redis: 'cache',
  service_bus: 'events',
  blob: 'archive',
  key_vault: 'encryption',
} as const;
type Probed = keyof typeof COMPONENTS;
const PROBED = Object.keys(COMPONENTS) as Probed[];

const WORDS = { healthy: 'operational', degraded: 'degraded', unhealthy: 'down' } as const;
const state = z.enum(['operational', 'degraded', 'down', 'unknown']);
const uptime = z.number().min(0).max(1).nullable();

/** `GET /status`. */
export const serviceStatus = z.object({
  status: state.describe('Of the whole. `unknown`: there is no check of the last five minutes.'),
  components: z.array(
    z.object({
      name: z.enum(COMPONENTS),
      status: state,
      since: z.string().nullable().describe('Since when it has this status. Null if that is unknown.'),
      uptime_24h: uptime.describe(
        'The share of the checks that did not find it down. Minutes without a check do not count. Null without a check.',
      ),
      uptime_90d: uptime,
    }),
  ),
});
type ServiceStatus = z.output<typeof serviceStatus>;
type Component = ServiceStatus['components'][number];

interface Row {
  readonly [column: string]: unknown;
  readonly service_name: Probed;
  readonly status: keyof typeof WORDS | null;
  readonly checked_at: string | null;
  readonly status_since: string | null;
  readonly day: number | null;
  readonly quarter: number | null;
}

/** A service's last check, and its uptime from counts of 24 hours and 90 days. */
const READ_SQL = `
select s.service_name, l.status, l.checked_at, l.status_since, d.uptime as day, q.uptime as quarter
  from unnest($1::text[]) s (service_name)
  left join lateral (
    select h.status, h.checked_at, h.status_since from system_health h
     where h.service_name = s.service_name and h.checked_at <= $2
     order by h.checked_at desc, h.id desc limit 1) l on true
 cross join lateral (
    select 1 - sum(p.unhealthy)::float8 / sum(p.checks) as uptime from ops.health_periods p
     where p.service_name = s.service_name and p.granularity = 'hour' and p.period_start > $3 and p.period_start <= $2) d
 cross join lateral (
    select 1 - sum(p.unhealthy)::float8 / sum(p.checks) as uptime from ops.health_periods p
     where p.service_name = s.service_name and p.granularity = 'day' and p.period_start > $4 and p.period_start <= $2) q`;

const remembered = new WeakMap<ProbedServices, SingleFlightCache<ServiceStatus>>();

/** The status for everybody, at most some seconds old. While the checks cannot be read, everything is `unknown`. */
export async function readServiceStatus(services: ProbedServices): Promise<Reply<200, ServiceStatus>> {
  let answers = remembered.get(services);
  if (answers === undefined) {
    answers = new SingleFlightCache({ ttlMs: ANSWER_TTL_S * 1_000, max: 1 });
    remembered.set(services, answers);
  }
  const answer = await answers.find('status', () => read(services));
  return ok(answer, { 'cache-control': `public, max-age=${ANSWER_TTL_S}` });
}

async function read({ crossTenant, clock, cache, dataKeys }: ProbedServices): Promise<ServiceStatus> {
  const absent = new Set<Probed>([
    ...(cache.configured ? [] : ['redis' as const]),
    ...(dataKeys.wrapping.place.vault === null ? ['key_vault' as const] : []),
  ]);
  const names = PROBED.filter((name) => !absent.has(name));
  const now = clock.now();
  const rows = await readRows(crossTenant.analytics, names, now).catch((error: unknown) => {
    log.warn('status-unreadable', errorFields(error));
    return [];
  });
  const byName = new Map(rows.map((row) => [row.service_name, componentOf(row, now)]));
  const components = names.map((name) => byName.get(name) ?? unknownComponent(name));
  return { status: components.find(({ name }) => name === 'api')?.status ?? 'unknown', components };
}

/** What is read for the status, of these services. */
export function readRows(
  analytics: CrossTenantDatabase,
  names: readonly string[],
  now: Date,
): Promise<Row[]> {
  const before = (ms: number): Date => new Date(now.getTime() - ms);
  return analytics.query<Row>(READ_SQL, [names, before(-AHEAD_MS), before(DAY_MS), before(90 * DAY_MS)]);
}

function unknownComponent(name: Probed): Component {
  return { name: COMPONENTS[name], status: 'unknown', since: null, uptime_24h: null, uptime_90d: null };
}

function componentOf(row: Row, now: Date): Component {
  const isFresh = row.checked_at !== null && Date.parse(row.checked_at) >= now.getTime() - FRESH_MS;
  return {
    ...unknownComponent(row.service_name),
    ...(isFresh && row.status !== null ? { status: WORDS[row.status], since: row.status_since } : {}),
    uptime_24h: shortened(row.day),
    uptime_90d: shortened(row.quarter),
  };
}

/** Rounded down: one minute of 90 days is seen, and a service that was down is never shown as always up. */
function shortened(share: number | null): number | null {
  return share === null ? null : Math.floor(share * 1e6) / 1e6;
}
