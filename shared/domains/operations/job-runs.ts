import type { z } from 'zod';
import { readPlatformKeyset } from '../../platform/db/keyset.ts';
import { auditEvent, emitEvents, type AuditNote } from '../../platform/writes/caused-events.ts';
import type { Call } from '../../platform/call/call.ts';
import { findEarlierAnswer } from '../../platform/writes/idempotency.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { performPlatformWrite } from '../../platform/writes/perform-write.ts';
import { DAY_MS } from '../../platform/time/clock.ts';
import { runJob, type Job } from '../../platform/jobs/job.ts';
import type { ScheduledJob } from '../../platform/jobs/scheduled-job.ts';
import { RUN_COLUMNS, type RunSummary } from '../../platform/jobs/run-ledger.ts';
import type { jobRunsQuery, JobsList, newJobRun } from './job-schemas.ts';

/** The longest run that an operator waits for: Azure's load balancer ends a request after 230 s. */
const WAIT_MS = 200_000;

/** A century is longer than any retention, and short enough that a run does not take minutes to catch up. */
const LOCAL_AHEAD_MS = 100 * 365 * DAY_MS;

/** Every job with its last run. */
export async function listJobs(call: Call, timers: readonly ScheduledJob[]): Promise<Reply<200, JobsList>> {
  const jobs = timers.toSorted((left, right) => left.job.name.localeCompare(right.job.name));
  // Across tenants: runs belong to no tenant.
  const rows = await call.services.crossTenant.core.query<RunSummary & { running: boolean }>(
    `select l.*, exists (select from retention_runs r where r.job = l.job and r.status = 'running') as running
       from unnest($1::text[]) j (name)
      cross join lateral (
        select ${RUN_COLUMNS} from retention_runs r
         where r.job = j.name and r.status <> 'skipped'
         order by r.started_at desc, r.run_id desc limit 1) l`,
    [jobs.map(({ job }) => job.name)],
  );
  const lastRuns = new Map(rows.map(({ running, ...run }) => [run.job, { running, run }]));
  return ok({
    items: jobs.map(({ job, schedule }): JobsList['items'][number] => {
      const last = lastRuns.get(job.name);
      return { job: job.name, schedule, running: last?.running ?? false, last_run: last?.run ?? null };
    }),
  });
}

/**
 * A page of a job's runs.
 * @throws Problem 404 for an unknown job.
 */
export async function listJobRuns(
  call: Call,
  timers: readonly ScheduledJob[],
  name: string,
  query: z.output<typeof jobRunsQuery>,
  url: string,
): Promise<Reply<200, Page<RunSummary>>> {
  const job = jobOf(timers, name);
  const scope = cursorScope(call, query);
  const page = readPage(scope, query);
  const list = {
    table: 'retention_runs',
    columns: RUN_COLUMNS,
    timeColumn: 'started_at',
    idColumn: 'run_id',
    idType: 'uuid',
    conditions: [{ sql: 'job = ?', value: job.name }],
  } as const;
  return pageReply(scope, url, page, {
    read: (step) => readPlatformKeyset<RunSummary>(call.services.crossTenant.core, list, step),
    positionOf: (row) => ({ at: row.started_at, id: row.run_id }),
  });
}

/**
 * Runs a job now for an operator, and answers with what it did.
 * @throws Problem 404 for an unknown job, 400 for an `as_of` in the future, 409 while another run holds the job's lock; the
 * job's own error, after it is in the ledger and audited.
 */
export async function startJobRun(
  call: Call,
  timers: readonly ScheduledJob[],
  name: string,
  given: z.output<typeof newJobRun>,
): Promise<Reply<200, RunSummary>> {
  const job = jobOf(timers, name);
  const asOf = given.as_of === undefined ? undefined : new Date(given.as_of);
  if (asOf !== undefined) refuseFuture(call, asOf);
  // The run is not part of the answer's transaction. So a repeated key is looked up before the run starts. The job's lock
  // prevents two runs at once.
  const repeated = await findEarlierAnswer<Reply<200, RunSummary>>(call.tenant, call, call.idempotency);
  if (repeated !== undefined) return repeated;
  const note: AuditNote = {
    action: 'job.run',
    resource_type: 'job',
    resource_id: job.name,
    details: { as_of: (asOf ?? call.now).toISOString() },
  };
  const summary = await run(call, job, asOf, note);
  if (summary.status === 'skipped')
    throw new Problem('CONFLICT', {
      detail: 'Another run of the job is in progress.',
      headers: { 'retry-after': '5' },
    });
  return performPlatformWrite(call, () =>
    Promise.resolve({
      reply: ok(summary),
      audit: { ...note, details: { ...note.details, run_id: summary.run_id, status: summary.status } },
    }),
  );
}

function jobOf(timers: readonly ScheduledJob[], name: string): Job {
  const job = timers.find(({ job: { name: known } }) => known === name)?.job;
  if (job === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such job.' });
  return job;
}

function refuseFuture(call: Call, asOf: Date): void {
  const isLocal = call.services.settings.DEPLOYMENT_ENVIRONMENT === 'local';
  if (asOf.getTime() <= call.now.getTime() + (isLocal ? LOCAL_AHEAD_MS : 0)) return;
  throw new Problem('INVALID_REQUEST', {
    errors: [{ pointer: '/as_of', detail: isLocal ? 'is too far in the future' : 'is in the future' }],
  });
}

async function run(call: Call, job: Job, asOf: Date | undefined, note: AuditNote): Promise<RunSummary> {
  try {
    return await runJob(call.services, job, {
      ...(asOf === undefined ? {} : { asOf }),
      triggeredBy: call.principal.actor,
      budgetMs: WAIT_MS,
    });
  } catch (error) {
    await emitEvents(call, [auditEvent(call, { ...note, outcome: 'failure' })]);
    throw error;
  }
}
