import { Cron } from 'croner';
import { timers } from '../../../functions/timers.ts';
import { readLastRuns, type LastRuns } from '../../../shared/domains/operations/last-runs.ts';
import type { ScheduledJob } from '../../../shared/platform/jobs/scheduled-job.ts';
import { MINUTE_MS } from '../../../shared/platform/time/clock.ts';
import { count, orOk, problem, warning, type Check, type Finding } from '../check.ts';

/** A timer may be late by this: Azure must start an instance, and a deployment takes minutes. */
const LATE_MS = 10 * MINUTE_MS;
/** As many runs as show the longest pause of a schedule: the pauses of a day differ by the hour at most. */
const RUNS = 50;

/** The longest time between two runs of a schedule (NCRONTAB with seconds, UTC). */
export function longestPauseMs(schedule: string, from: Date): number {
  const cron = new Cron(schedule, {
    timezone: 'UTC',
    mode: '6-part',
    domAndDow: true,
    sloppyRanges: true,
    paused: true,
  });
  const runs = cron.nextRuns(RUNS, from).map((run) => run.getTime());
  return Math.max(...runs.slice(1).map((run, n) => run - (runs[n] ?? run)));
}

function minutes(ms: number): string {
  return ms < 120 * MINUTE_MS
    ? `${Math.round(ms / MINUTE_MS)} min`
    : `${Math.round(ms / (60 * MINUTE_MS))} h`;
}

/** What the ledger says against one job. */
function judge(
  { job, schedule }: ScheduledJob,
  last: LastRuns | undefined,
  since: string | null,
  now: Date,
): Finding[] {
  const runNow = `POST /api/v1/platform/jobs/${job.name}/runs as an operator`;
  const findings: Finding[] = [];
  const allowedMs = longestPauseMs(schedule, now) + job.budgetMs + LATE_MS;
  const startedAt = last?.last_started_at ?? since;
  const ageMs = startedAt === null ? 0 : now.getTime() - Date.parse(startedAt);
  if (ageMs > allowedMs)
    findings.push(
      problem(
        last?.last_started_at == null
          ? `${job.name} has never run, and its schedule (${schedule}) came`
          : `${job.name} ran ${minutes(ageMs)} ago; its schedule (${schedule}) allows ${minutes(allowedMs)}`,
        `see whether the Function App runs and ${job.name} is enabled (AzureWebJobs.${job.name}.Disabled); then ${runNow}, see docs/runbooks/job-late.md`,
      ),
    );
  const runningMs = last?.running_since == null ? 0 : now.getTime() - Date.parse(last.running_since);
  if (runningMs > job.budgetMs + LATE_MS)
    findings.push(
      warning(
        `${job.name} has been running for ${minutes(runningMs)}, with ${minutes(job.budgetMs)} allowed: its process died`,
        `nothing: its next run closes it. Sooner: ${runNow}`,
      ),
    );
  if (last?.last_status === 'failed')
    findings.push(
      warning(
        `the last run of ${job.name} failed: ${last.last_error ?? ''}`,
        `GET /api/v1/platform/jobs/${job.name}/runs, and job-failed in the log; then ${runNow}, see docs/runbooks/job-failing.md`,
      ),
    );
  return findings;
}

/** Whether every timer runs as its schedule says. */
export const jobs: Check = {
  name: 'jobs',
  group: 'work',
  looksAt: 'the last run of each job against its schedule, and runs that never ended',
  async run(patient) {
    const core = await patient.crossTenant('core');
    const { runs, since } = await readLastRuns(
      core,
      timers.map(({ job }) => job.name),
    );
    const now = patient.clock.now();
    const byName = new Map(runs.map((run) => [run.job, run]));
    const findings = timers.flatMap((timer) => judge(timer, byName.get(timer.job.name), since, now));
    const text =
      since === null
        ? 'nothing has run yet'
        : `${count(timers.length, 'job')} as scheduled, ${runs.filter((run) => run.last_started_at !== null).length} have run`;
    return orOk(findings, text);
  },
};
