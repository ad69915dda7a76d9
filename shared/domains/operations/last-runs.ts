import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** What the ledger says of one job. Times are RFC 3339. */
export interface LastRuns {
  readonly [column: string]: unknown;
  readonly job: string;
  /** When the last run of its timer began; null before the first. Runs that found another one at work count too. */
  readonly last_started_at: string | null;
  /** When the oldest run that has no end began; null if none runs. */
  readonly running_since: string | null;
  /** The outcome of the last run that has ended and did something other than find another one at work. */
  readonly last_status: 'completed' | 'partial' | 'failed' | null;
  readonly last_error: string | null;
}

/**
 * The last runs of jobs, and since when the ledger has any: before that, a timer had no chance to run. Runs as of another time
 * count, except those in the future that a local stack allows.
 */
export async function readLastRuns(
  core: CrossTenantDatabase,
  jobs: readonly string[],
): Promise<{ readonly runs: readonly LastRuns[]; readonly since: string | null }> {
  const runs = await core.query<LastRuns>(
    `select j.name as job, t.started_at as last_started_at, o.started_at as running_since,
            e.status as last_status, e.error as last_error
       from unnest($1::text[]) j (name)
       left join lateral (select r.started_at from retention_runs r where r.job = j.name and r.triggered_by = 'timer'
                           order by r.started_at desc limit 1) t on true
       left join lateral (select r.started_at from retention_runs r where r.job = j.name and r.status = 'running'
                           order by r.started_at limit 1) o on true
       left join lateral (select r.status, r.error from retention_runs r
                           where r.job = j.name and r.status not in ('running', 'skipped')
                           order by r.started_at desc limit 1) e on true`,
    [jobs],
  );
  const [first] = await core.query<{ since: string | null }>(
    'select min(started_at) as since from retention_runs',
  );
  return { runs, since: first?.since ?? null };
}
