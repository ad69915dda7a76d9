import { endpoint } from '../../shared/platform/http/endpoint.ts';
import {
  cancelAsyncOrchestration,
  readAsyncOrchestration,
} from '../../shared/domains/orchestration/async-orchestrations.ts';
import { asyncOrchestration, asyncOrchestrationParams } from '../../shared/domains/orchestration/schemas.ts';

export const asyncOrchestrationsEndpoints = [
  endpoint({
    name: 'async-orchestrations-read',
    method: 'GET',
    path: 'v1/jobs/{job_id}',
    tag: 'async-orchestrations',
    summary: 'Read the state of an asynchronous orchestration',
    permission: 'orchestrations:read',
    params: asyncOrchestrationParams,
    responses: { 200: { description: 'The orchestration.', schema: asyncOrchestration } },
    run: (call, { params }) => readAsyncOrchestration(call, params.job_id),
  }),
  endpoint({
    name: 'async-orchestrations-cancel',
    method: 'POST',
    path: 'v1/jobs/{job_id}/cancel',
    tag: 'async-orchestrations',
    summary: 'Cancel a pending or running asynchronous orchestration',
    permission: 'orchestrations:write',
    params: asyncOrchestrationParams,
    responses: { 200: { description: 'Cancelled.', schema: asyncOrchestration } },
    run: (call, { params }) => cancelAsyncOrchestration(call, params.job_id),
  }),
];
