import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { cancelJob, readJob } from '../../shared/domains/orchestration/async-orchestrations.ts';
import { job, jobIdParams } from '../../shared/domains/orchestration/schemas.ts';

export const asyncOrchestrationsEndpoints = [
  endpoint({
    name: 'jobs-read',
    method: 'GET',
    path: 'v1/jobs/{job_id}',
    tag: 'jobs',
    summary: 'Read the state of an asynchronous orchestration',
    permission: 'orchestrations:read',
    params: jobIdParams,
    responses: { 200: { description: 'Its state.', schema: job } },
    run: (call, { params }) => readJob(call, params.job_id),
  }),
  endpoint({
    name: 'jobs-cancel',
    method: 'POST',
    path: 'v1/jobs/{job_id}/cancel',
    tag: 'jobs',
    summary: 'Cancel a pending or running asynchronous orchestration',
    permission: 'orchestrations:write',
    params: jobIdParams,
    responses: { 200: { description: 'Cancelled.', schema: job } },
    run: (call, { params }) => cancelJob(call, params.job_id),
  }),
];
