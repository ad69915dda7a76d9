import type { ScheduledJob } from '../../shared/platform/jobs/scheduled-job.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';
import { listJobRuns, listJobs, startJobRun } from '../../shared/domains/operations/job-runs.ts';
import {
  jobParams,
  jobRun,
  jobRunsQuery,
  jobsList,
  newJobRun,
} from '../../shared/domains/operations/job-schemas.ts';

const common = { tag: 'platform', permission: 'platform:operate' } as const;

/** The operators' routes for the app's jobs. */
export const platformJobRunEndpoints = (timers: readonly ScheduledJob[]) => [
  endpoint({
    ...common,
    name: 'platform-jobs-list',
    method: 'GET',
    path: 'v1/platform/jobs',
    summary: 'List the jobs with their last runs',
    responses: { 200: { description: 'All jobs.', schema: jobsList } },
    run: (call) => listJobs(call, timers),
  }),
  endpoint({
    ...common,
    name: 'platform-job-runs-list',
    method: 'GET',
    path: 'v1/platform/jobs/{job}/runs',
    summary: 'List a job’s runs',
    params: jobParams,
    query: jobRunsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(jobRun), headers: ['Link'] } },
    run: (call, { params, query, url }) => listJobRuns(call, timers, params.job, query, url),
  }),
  endpoint({
    ...common,
    name: 'platform-job-runs-create',
    method: 'POST',
    path: 'v1/platform/jobs/{job}/runs',
    summary: 'Run a job now, and answer with its result',
    description:
      'A run that ends `partial` had no time left: run it again. `as_of` may be in the future only in local environments.',
    params: jobParams,
    body: newJobRun,
    responses: { 200: { description: 'The run.', schema: jobRun } },
    run: (call, { params, body }) => startJobRun(call, timers, params.job, body),
  }),
];
