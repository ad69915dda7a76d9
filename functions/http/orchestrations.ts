import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { requestIdParams } from '../../shared/platform/http/fields.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';
import { addResults } from '../../shared/domains/orchestration/add-results.ts';
import {
  listOrchestrations,
  readOrchestration,
} from '../../shared/domains/orchestration/read-orchestrations.ts';
import {
  ORCHESTRATION_WRITE,
  prepareOrchestrations,
  recordOrchestration,
} from '../../shared/domains/orchestration/record-orchestration.ts';
import { respondToOrchestration } from '../../shared/domains/orchestration/respond.ts';
import {
  newOrchestration,
  newResults,
  orchestration,
  ORCHESTRATION_BODY_LIMIT,
  orchestrationAnswer,
  orchestrationResponse,
  orchestrationsQuery,
  orchestrationSummary,
  resultsAdded,
} from '../../shared/domains/orchestration/schemas.ts';
import { batchBody, BATCH_BODY_LIMIT, batchOutcome, writeBatch } from '../../shared/platform/writes/batch.ts';

export const orchestrationsEndpoints = [
  endpoint({
    name: 'orchestrations-create',
    method: 'POST',
    path: 'v1/orchestrations',
    tag: 'orchestrations',
    summary: 'Add an orchestration, with or without its detector results and response',
    permission: 'orchestrations:write',
    body: newOrchestration,
    bodyLimit: ORCHESTRATION_BODY_LIMIT,
    responses: {
      201: { description: 'Recorded.', schema: orchestrationAnswer, headers: ['Location'] },
      206: {
        description: 'Added with its response; its coverage is under the plan’s threshold.',
        schema: orchestrationAnswer,
        headers: ['Location'],
      },
    },
    run: (call, { body }) => recordOrchestration(call, body),
  }),
  endpoint({
    name: 'orchestrations-batch-create',
    method: 'POST',
    path: 'v1/orchestrations/batch',
    tag: 'orchestrations',
    summary: 'Add up to 100 orchestrations, each with its own outcome',
    permission: 'orchestrations:write',
    body: batchBody,
    bodyLimit: BATCH_BODY_LIMIT,
    responses: { 207: { description: 'The outcome of each.', schema: batchOutcome } },
    run: (call, { body }) =>
      writeBatch(call, body.items, {
        schema: newOrchestration,
        write: ORCHESTRATION_WRITE,
        prepare: prepareOrchestrations,
      }),
  }),
  endpoint({
    name: 'orchestrations-results-add',
    method: 'POST',
    path: 'v1/orchestrations/{request_id}/detector-results',
    tag: 'orchestrations',
    summary: 'Add detector results; several results of one detector are numbered as tries',
    permission: 'orchestrations:write',
    params: requestIdParams,
    body: newResults,
    bodyLimit: ORCHESTRATION_BODY_LIMIT,
    responses: { 201: { description: 'Added.', schema: resultsAdded } },
    run: (call, { params, body }) => addResults(call, params.request_id, body),
  }),
  endpoint({
    name: 'orchestrations-respond',
    method: 'PUT',
    path: 'v1/orchestrations/{request_id}/response',
    tag: 'orchestrations',
    summary: 'Complete an orchestration; its coverage is computed from the routing plan',
    permission: 'orchestrations:write',
    params: requestIdParams,
    body: orchestrationResponse,
    bodyLimit: ORCHESTRATION_BODY_LIMIT,
    responses: {
      200: {
        description: 'Completed; the same response again changes nothing.',
        schema: orchestrationAnswer,
      },
      206: {
        description: 'Completed; its coverage is under the plan’s threshold.',
        schema: orchestrationAnswer,
      },
    },
    run: (call, { params, body }) => respondToOrchestration(call, params.request_id, body),
  }),
  endpoint({
    name: 'orchestrations-read',
    method: 'GET',
    path: 'v1/orchestrations/{request_id}',
    tag: 'orchestrations',
    summary: 'Read an orchestration with its detector results and response',
    permission: 'orchestrations:read',
    params: requestIdParams,
    responses: { 200: { description: 'The orchestration.', schema: orchestration } },
    run: (call, { params }) => readOrchestration(call, params.request_id),
  }),
  endpoint({
    name: 'orchestrations-list',
    method: 'GET',
    path: 'v1/orchestrations',
    tag: 'orchestrations',
    summary: 'List orchestrations',
    permission: 'orchestrations:read',
    query: orchestrationsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(orchestrationSummary), headers: ['Link'] } },
    run: (call, { query, url }) => listOrchestrations(call, query, url),
  }),
];
